"""Memory of `swap` over a folder of frames; benchmarks/folder_memory.py is the long form."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_swapper import IDENTITY, Fixed, Painter

from styleswap_core.commands import swap_command
from styleswap_core.commands.file_swapper import FileSwapper
from styleswap_core.commands.picture_files import SwapFiles
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.io.images import save_image
from styleswap_core.pipeline.swap_options import SwapOptions

FRAMES, AFTER, SIZE = 50, 10, (480, 640)
GROWTH = 30.0  # MB; all frames after the first ones together take more


def resident_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process is read as on Linux")
def test_memory_does_not_grow_with_the_number_of_frames(folder, monkeypatch):
    assert (FRAMES - AFTER) * np.prod(SIZE) * 3 / 1e6 > 1.2 * GROWTH
    picture = np.broadcast_to(np.arange(SIZE[1], dtype=np.uint8)[:, None], (*SIZE, 3)).copy()
    save_image("0.png", picture)
    (folder / "out").mkdir()
    rows, swap_file = [], FileSwapper.swap_file

    def measured(*values, **options):
        report = swap_file(*values, **options)
        rows.append(resident_mb())
        return report

    monkeypatch.setattr(FileSwapper, "swap_file", measured)
    plan = [SwapFiles(Path("0.png"), folder / "out" / f"{number}.png", None) for number in range(FRAMES)]
    swapper = FileSwapper(Painter(), Path("painter"), Fixed())
    monkeypatch.setattr(FileSwapper, "baked", lambda self: replace(self))
    results, failed = swap_command._swap_all(
        swapper, [IDENTITY], False, plan, FaceChoice("largest"), SwapOptions(), None, None
    )
    assert len(results) == FRAMES and not failed, failed
    assert max(rows) - max(rows[:AFTER]) < GROWTH
