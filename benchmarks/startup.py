"""Time until the package, the command and the pack are ready, in fresh processes, and where that of a first swap goes.

    python benchmarks/startup.py --out docs/benchmarks
    python benchmarks/startup.py --comfyui ~/comfy/ComfyUI ~/comfy/ComfyUI-0.25 --runs 9

Prints the page, and writes it as startup.md if --out is given. Every number is the median over --runs rounds, in which
all processes take turns. A round before them fills the file cache and compiles the modules to bytecode. With
--processor-time, the time of the processor is measured, for one thread on a machine that does other work as well.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from commands import ROOT
from end_to_end import FACE_SIDE, make_frames
from machine import machine_name
from tqdm import tqdm

from styleswap_core.io.images import save_image

sys.path.append(str(ROOT / "tests" / "comfyui"))

from comfy_server import find_comfyui, link_pack

HERE = Path(__file__).resolve().parent
REFERENCE = "`import torch`"
SWAP = "first `styleswap swap`"
# Steps of a swap below this share of it are summed up.
SMALL_SHARE = 0.005


@dataclass(frozen=True)
class Start:
    """A process whose time is measured.

    Attributes:
        name: Name in the table.
        command: Its words; RECORD and BEGAN stand for a file and the time of the start, or "processor".
        bar: Seconds that it should stay below; 0 for none.
        folder: Working directory.
    """

    name: str
    command: tuple[str, ...]
    bar: float = 0.0
    folder: Path = ROOT


def comfyui_of(folder: Path | None) -> tuple[Path, Path, str] | None:
    """Folder, Python and version of a ComfyUI, by default of the one that the tests use; None if there is none."""
    if folder is not None:
        os.environ["COMFYUI_PATH"] = str(folder)
    found = find_comfyui()
    if found is None:
        return None
    version = re.search(r'__version__\s*=\s*"(.+?)"', (found[0] / "comfyui_version.py").read_text(encoding="utf-8"))
    return *found, version[1] if version else "of unknown version"


def plan(folder: Path, comfyui: Sequence[Path], quick: bool) -> list[Start]:
    """The processes of a round.

    Args:
        folder: Folder for pictures and results.
        comfyui: Folders of ComfyUI; empty for the one that the tests use.
        quick: Leave out ComfyUI.
    """
    source, target = folder / "source.png", folder / "target.jpg"
    frame = make_frames(1, 1)[0]
    save_image(target, frame)
    save_image(source, frame[250 : 250 + FACE_SIDE, 60 : 60 + FACE_SIDE])
    python, clock = sys.executable, str(HERE / "startup_clock.py")
    swap = ("swap", "--source", str(source), "--target", str(target), "--out", str(folder / "result.jpg"))
    starts = [
        Start("Python alone", (python, "-c", "pass")),
        Start(REFERENCE, (python, "-c", "import torch")),
        Start("`import styleswap_core`", (python, "-c", "import styleswap_core"), 0.3),
        Start("`styleswap --help`", (python, "-m", "styleswap_core", "--help"), 0.3),
        Start(SWAP, (python, clock, "RECORD", "BEGAN", *swap), 2.5),
    ]
    for number, path in enumerate(() if quick else comfyui or (None,)):
        found = comfyui_of(path)
        if found is not None:
            base = folder / f"comfyui-{number}"
            link_pack(base)
            words = (str(found[1]), str(HERE / "startup_comfyui.py"), "RECORD", "BEGAN", str(found[0]), str(base))
            starts.append(Start(f"the pack in ComfyUI {found[2]}", words, 0.1, found[0]))
    return starts


def measure(start: Start, folder: Path, threads: int, processor: bool) -> tuple[float, dict[str, float]]:
    """Seconds of a process, and by step if it records them; of ComfyUI, the seconds in which the pack loads.

    Args:
        start: The process.
        folder: Folder for its record.
        threads: Threads of torch.
        processor: Measure the time of the processor.

    Raises:
        CalledProcessError: It failed.
    """
    record = folder / "record.json"
    record.unlink(missing_ok=True)
    # Users have compiled modules; whoever measures may have forbidden to write them.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"OMP_NUM_THREADS": str(threads)}
    if start.folder == ROOT:
        environment["PYTHONPATH"] = str(ROOT)
    began = _children_seconds() if processor else time.time()
    given = {"RECORD": str(record), "BEGAN": "processor" if processor else str(began)}
    words = [given.get(word, word) for word in start.command]
    done = subprocess.run(words, cwd=start.folder, env=environment, capture_output=True, text=True)
    ended = _children_seconds() if processor else time.time()
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        done.check_returncode()
    if not record.exists():
        return ended - began, {}
    found = json.loads(record.read_text(encoding="utf-8"))
    if "modules" in found:
        return found["seconds"], {}
    end = ended - found["ended"] - (began if processor else 0.0)
    return ended - began, found["seconds"] | {"Python: end": end}


def _children_seconds() -> float:
    """Processor time of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def page(
    starts: Sequence[Start], seconds: dict[str, list[float]], steps: dict[str, list[float]], args: argparse.Namespace
) -> str:
    """The page in Markdown."""
    reference = median(seconds[REFERENCE])
    kind = "processor time" if args.processor_time else "time on the clock"
    lines = [
        "# Time to start",
        "",
        (
            f"Measured by `python benchmarks/startup.py` on {machine_name('cpu')}, {args.threads} threads, Python"
            f" {sys.version.split()[0]}, PyTorch {torch.__version__}: {kind}, medians over {args.runs} rounds of fresh"
            " processes with a warm file cache."
        ),
        "",
        "| start | seconds | relative to `import torch` | aim |",
        "| --- | ---: | ---: | --- |",
    ]
    for start in starts:
        spent = median(seconds[start.name])
        aim = f"below {start.bar:g} s: {'met' if spent < start.bar else 'missed'}" if start.bar else ""
        lines.append(f"| {start.name} | {spent:.2f} | {spent / reference:.2f} | {aim} |")
    total = sum(map(median, steps.values()))
    lines += [
        "",
        (
            "The swap is that of one face in a JPEG of 1920 x 1080 pixels with the demo model, from the start of the"
            " process to its end. ComfyUI has imported PyTorch, NumPy and Pillow before it loads a pack; its time is"
            " the one that ComfyUI prints as import time."
        ),
        "",
        "## Where the time of the first swap goes",
        "",
        (
            "Each row is without those inside it. What a package imports while it is imported counts as its own:"
            " SciPy and scikit-image belong to insightface."
        ),
        "",
        "| step | seconds | share |",
        "| --- | ---: | ---: |",
    ]
    rows = sorted(((median(spent), step) for step, spent in steps.items()), reverse=True)
    lines += [f"| {step} | {spent:.3f} | {spent / total:.0%} |" for spent, step in rows if spent >= SMALL_SHARE * total]
    small = sum(spent for spent, _ in rows if spent < SMALL_SHARE * total)
    return "\n".join([*lines, f"| all others | {small:.3f} | {small / total:.0%} |"]) + "\n"


def main() -> None:
    """Measure all starts in rounds, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for startup.md")
    parser.add_argument("--runs", type=int, default=7, help="rounds (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--comfyui", type=Path, nargs="+", default=[], help="folders of ComfyUI to load the pack in")
    parser.add_argument("--processor-time", action="store_true", help="measure the processor instead of the clock")
    parser.add_argument("--quick", action="store_true", help="smoke test: one round, without ComfyUI")
    args = parser.parse_args()
    if args.quick:
        args.runs = 1
    seconds: dict[str, list[float]] = defaultdict(list)
    steps: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        starts = plan(folder, args.comfyui, args.quick)
        for number in tqdm(range(args.runs + 1), desc="rounds"):
            for start in starts:
                spent, parts = measure(start, folder, args.threads, args.processor_time)
                # The first round warms up.
                if number:
                    seconds[start.name].append(spent)
                    for step, part in parts.items():
                        steps[step].append(part)
    text = page(starts, seconds, steps, args)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "startup.md").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
