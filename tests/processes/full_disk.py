"""Disks that become full."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file gets larger than this: the errors are those of a full disk, without one."""
    resource = pytest.importorskip("resource", reason="Windows has no limit for the size of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder: Path, free: int) -> Iterator[Callable[[], object]]:
    """A disk of 5 MB in a folder, and a function that fills it up to so many free bytes.

    Where mounting one is not permitted, the function limits the size of files instead.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "size=5m", "styleswap-test", str(folder)]
    if shutil.which("mount") and subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        try:
            yield lambda: (folder / "filler").write_bytes(bytes(os.statvfs(folder).f_bavail * 4096 - free))
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    limits = []

    def fill() -> None:
        limits.append(disk_of(free))
        limits[0].__enter__()

    try:
        yield fill
    finally:
        for limit in limits:
            limit.__exit__(None, None, None)
