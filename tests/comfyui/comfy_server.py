"""Client for a real ComfyUI process that runs this pack from a temporary base folder.

ComfyUI is not part of this repository; it is found on the machine, started, used over HTTP, and stopped.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

PACK = Path(__file__).resolve().parents[2]
PACK_NAME = "StyleSwap"
START_SECONDS = 240
CLIENT = "tests"
HOW_TO_GET_COMFYUI = (
    "no ComfyUI found: clone github.com/Comfy-Org/ComfyUI, install its requirements.txt and this pack's into a virtual"
    " environment in the clone, and set COMFYUI_PATH to the clone (and COMFYUI_PYTHON if the environment is elsewhere)"
)
# Own mount namespace: its mounts are visible to this process only, and disappear with it.
_OWN_MOUNTS = ("unshare", "--map-root-user", "--mount")
_MOUNT_TINY_DISKS = (
    'while [ "$1" != -- ]; do mount -t tmpfs -o size=8k tiny "$1" || exit 1; shift; done; shift; exec "$@"'
)


class ComfyError(Exception):
    """The server failed or refused a request; the message ends with its log or its response."""


def find_comfyui() -> tuple[Path, Path] | None:
    """Folder and Python executable of the ComfyUI to test with, or None.

    COMFYUI_PATH and COMFYUI_PYTHON take precedence; the defaults are ~/comfy/ComfyUI, and a `venv` or `.venv` in that
    folder or beside it, or else the running Python.
    """
    folder = Path(os.environ.get("COMFYUI_PATH") or "~/comfy/ComfyUI").expanduser().resolve()
    if not (folder / "main.py").is_file():
        return None
    if named := os.environ.get("COMFYUI_PYTHON"):
        return folder, Path(named).expanduser()
    places = [base / name for base in (folder, folder.parent) for name in ("venv", ".venv")]
    pythons = [place / part for place in places for part in ("bin/python", "Scripts/python.exe")]
    return folder, next((python for python in pythons if python.exists()), Path(sys.executable))


def frontend_folder() -> Path | None:
    """Folder of the frontend to serve in place of ComfyUI's own: COMFYUI_FRONTEND, or None.

    It is an unpacked `comfyui-frontend-package`, or the folder `static` in it.
    """
    named = os.environ.get("COMFYUI_FRONTEND")
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    places = [folder, folder / "static", folder / "comfyui_frontend_package" / "static"]
    found = next((place for place in places if (place / "index.html").is_file()), None)
    if found is None:
        raise ComfyError(f"no frontend in {folder}: expected an unpacked comfyui-frontend-package")
    return found


def can_mount() -> bool:
    """Whether this user may start a process in its own mount namespace (Linux, without privileges)."""
    if shutil.which(_OWN_MOUNTS[0]) is None:
        return False
    return subprocess.run([*_OWN_MOUNTS, "true"], capture_output=True).returncode == 0


def link_pack(base: Path, name: str = PACK_NAME, pack: Path = PACK) -> Path:
    """Link the pack, or another revision of it, into `custom_nodes` of a base folder under a name."""
    place = base / "custom_nodes" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(pack, target_is_directory=True)
    except OSError:
        # On Windows, symbolic links require a privilege.
        shutil.copytree(pack, place, ignore=shutil.ignore_patterns(".*", "runs", "data"))
    return place


@dataclass
class ComfyServer:
    """A ComfyUI process, as a context manager.

    Attributes:
        base: Base folder, with `custom_nodes` and the models in it.
        tiny_disks: Subfolders of `base` that are mounted as disks of a few kilobytes for the server (see `can_mount`).
        blocked: Top-level modules that the server cannot import, as if they were not installed.
        environment: Additional environment variables.
        model_folders: Further model folders by key, as `extra_model_paths.yaml` names them.
    """

    base: Path
    tiny_disks: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    model_folders: Mapping[str, Path] = field(default_factory=dict)

    def __enter__(self) -> "ComfyServer":
        found = find_comfyui()
        if found is None:
            raise ComfyError(HOW_TO_GET_COMFYUI)
        folder, python = found
        for name in ("custom_nodes", "input", "output", "models", "user"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = self.base / "server.log"
        command = [
            str(python),
            str(folder / "main.py"),
            "--cpu",
            "--listen",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--base-directory",
            str(self.base),
            "--database-url",
            "sqlite:///:memory:",
            "--disable-api-nodes",
            "--disable-auto-launch",
        ]
        if frontend := frontend_folder():
            command += ["--front-end-root", str(frontend)]
        if self.model_folders:
            config = self.base / "extra_model_paths.yaml"
            lines = [f"  {key}: {json.dumps(str(folder))}" for key, folder in self.model_folders.items()]
            config.write_text("\n".join(["elsewhere:", *lines, ""]), encoding="utf-8")
            command += ["--extra-model-paths-config", str(config)]
        if self.tiny_disks:
            disks = [self.base / name for name in self.tiny_disks]
            for disk in disks:
                disk.mkdir(parents=True)
            command = [*_OWN_MOUNTS, "sh", "-c", _MOUNT_TINY_DISKS, "sh", *map(str, disks), "--", *command]
        environment = {**os.environ, **self.environment, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        # The server must import the core from the pack, not an installed one or the repository through the path.
        environment.pop("PYTHONPATH", None)
        if self.blocked:
            environment["PYTHONPATH"] = str(self._write_blocker())
        with self._log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, cwd=self.base, env=environment, stdout=stream, stderr=subprocess.STDOUT
            )
        try:
            self._await_start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """Output of the server so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def on_tiny_disk(self, name: str) -> list[Path]:
        """Files on one of the `tiny_disks`, as paths that are readable from outside the mount namespace."""
        mounted = Path(f"/proc/{self.process.pid}/root{self.base / name}")
        return sorted(path for path in mounted.rglob("*") if path.is_file())

    def rss(self) -> int:
        """Resident memory of the server in bytes (Linux)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise ComfyError("the server's process has no VmRSS")

    def fetch(self, path: str) -> bytes:
        """GET; raises urllib.error.HTTPError for an error status."""
        with urllib.request.urlopen(self.url + path, timeout=60) as response:
            return response.read()

    def get(self, path: str) -> dict:
        """GET a JSON response."""
        return json.loads(self.fetch(path))

    def post(self, path: str, body: object) -> tuple[int, dict]:
        """POST JSON; returns the status and the JSON response ({} if there is none)."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text.strip().startswith(b"{") else {}

    def queue(self, prompt: Mapping, workflow: Mapping | None = None) -> str:
        """Queue an API-format prompt, as the browser does; returns its id.

        Args:
            prompt: The prompt.
            workflow: UI-format workflow to be saved in images.
        """
        extra = {"extra_data": {"extra_pnginfo": {"workflow": workflow}}} if workflow else {}
        # Newer cores leave what cached nodes show out of the history of a prompt that no client has sent.
        status, answer = self.post("/prompt", {"prompt": prompt, "client_id": CLIENT, **extra})
        if status != 200:
            raise ComfyError(f"the prompt was refused: {json.dumps(answer)}")
        if answer.get("node_errors"):
            raise ComfyError(f"parts of the prompt were refused: {json.dumps(answer['node_errors'])}")
        return answer["prompt_id"]

    def await_end(self, prompt_id: str, seconds: float = 600) -> dict:
        """Wait until a prompt has succeeded, failed or been interrupted; returns its history entry."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            history = self.get(f"/history/{prompt_id}")
            if prompt_id in history:
                return history[prompt_id]
            self._check_alive()
            time.sleep(0.05)
        raise ComfyError(f"prompt not finished after {seconds} s\n{self.log()[-3000:]}")

    def await_working(self, prompt_id: str, node_id: str, seconds: float = 120) -> None:
        """Wait until a node of a prompt reports progress; requires the probe pack."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            progress = self.get("/probe/progress")
            if (progress["prompt"], progress["node"]) == (prompt_id, node_id):
                return
            if entry := self.get(f"/history/{prompt_id}").get(prompt_id):
                raise ComfyError(f"{node_id} reported no progress: {error_message(entry)}")
            time.sleep(0.02)
        raise ComfyError(f"{node_id} reported no progress in {seconds} s")

    def interrupt(self, prompt_id: str, node_id: str) -> tuple[dict, float]:
        """Cancel; returns the prompt's history entry, and the number of steps that a node did after the interrupt.

        Steps are what the node reports as progress. Unlike the time, their number does not depend on the load of the
        machine. Requires the probe pack.
        """
        self.post("/interrupt", {})
        entry = self.await_end(prompt_id, 60)
        return entry, self.get("/probe/steps_after_interrupt")[node_id]

    def run(self, prompt: Mapping, workflow: Mapping | None = None, seconds: float = 600) -> "Run":
        """Queue a prompt and wait for its success."""
        entry = self.await_end(self.queue(prompt, workflow), seconds)
        if entry["status"]["status_str"] != "success":
            raise ComfyError(f"the prompt failed: {error_message(entry)}")
        return Run(self, entry)

    def view(self, saved: Mapping[str, str]) -> bytes:
        """Content of a file that a run saved."""
        return self.fetch("/view?" + urllib.parse.urlencode(saved))

    def _await_start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._check_alive()
            try:
                self.get("/system_stats")
                return
            except (OSError, ValueError):
                time.sleep(0.2)
        raise ComfyError(f"no response after {START_SECONDS} s\n{self.log()[-3000:]}")

    def _check_alive(self) -> None:
        if (code := self.process.poll()) is not None:
            raise ComfyError(f"the server exited with code {code}\n{self.log()[-3000:]}")

    def _write_blocker(self) -> Path:
        """Folder with a `sitecustomize` that hides `blocked` from Python's import system."""
        folder = self.base / "blocked"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(
            "from importlib.machinery import PathFinder\n"
            "search = PathFinder.find_spec\n"
            "def find_spec(name, path=None, target=None):\n"
            f"    return None if name.split('.')[0] in {self.blocked!r} else search(name, path, target)\n"
            "PathFinder.find_spec = find_spec\n"
        )
        return folder


class PeakMemory:
    """Peak resident memory of a server during a `with` block, in bytes as `peak` (Linux)."""

    def __init__(self, server: ComfyServer) -> None:
        self.server, self.peak = server, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, self.server.rss())

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


@dataclass(frozen=True)
class Run:
    """A prompt that succeeded.

    Attributes:
        server: The server that ran it.
        entry: Its history entry.
    """

    server: ComfyServer
    entry: dict

    def cached(self) -> set[str]:
        """Ids of the nodes whose results came from the cache."""
        messages = dict(self.entry["status"]["messages"])
        return set(messages["execution_cached"]["nodes"])

    def executed(self) -> set[str]:
        """Ids of the prompt's nodes that ran."""
        return set(self.entry["prompt"][2]) - self.cached()

    def texts(self, node_id: str) -> list[str]:
        """Text that a node showed."""
        return list(self.entry["outputs"].get(node_id, {}).get("text", []))

    def files(self, node_id: str) -> list[dict]:
        """Images or videos that a node saved, as `ComfyServer.view` takes them."""
        return list(self.entry["outputs"].get(node_id, {}).get("images", []))

    def pictures(self, node_id: str) -> list[Image.Image]:
        """Images that a node saved, with their metadata in `.text`."""
        return [_open(self.server.view(saved)) for saved in self.files(node_id)]

    def pixels(self, node_id: str) -> np.ndarray:
        """Images that a node saved as (B, H, W, 3) uint8 RGB."""
        return np.stack([np.asarray(picture.convert("RGB")) for picture in self.pictures(node_id)])


def error_message(entry: Mapping) -> str:
    """Message of a failed or interrupted prompt."""
    messages = dict(entry["status"]["messages"])
    failed = messages.get("execution_error")
    if failed:
        return f"{failed['node_type']}: {failed['exception_message']}"
    return "interrupted" if "execution_interrupted" in messages else json.dumps(entry["status"])


def _open(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
