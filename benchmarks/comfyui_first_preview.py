"""Time from Run to the first preview in ComfyUI: this revision of the pack against an earlier one.

    git worktree add ../before b2aa634
    python benchmarks/comfyui_first_preview.py --pack . --against ../before --rounds 5

Prints a table. The graph is template 01 of the earlier revision, from two Load Image nodes to the preview of the
swapped picture, so that both run the same nodes and values; with --quick, --pack runs its Quick Face Swap instead.
On a busy machine, --processor-time tells more: what all cores spend on the server until the preview is there.
Each round starts a ComfyUI for each revision in turn, on the CPU; how ComfyUI is found is described in
tests/comfyui/comfy_server.py. A first start of each, which compiles Python's files, does not count.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "comfyui"))

from comfy_server import ComfyServer, link_pack
from comfyui_video import processor_seconds
from commands import ROOT
from machine import machine_name
from workflow_files import QUICK, SOURCE, SWAP, SYNTHETIC, TARGET, ancestors, nodes_of, only, with_probe

from styleswap_core.io.images import load_image, save_image, to_uint8
from styleswap_core.synthetic.scene import SyntheticScene

FIRST, OTHER, SAME = "first run after the start", "another target", "nothing changed"
STEPS = (FIRST, OTHER, SAME)
TARGETS, REPEATS = 6, 3
SIDE = 384
# Of the pixels of a swapped face, in levels of 255.
LEAST_CHANGE = 20
FOUR_NODES, QUICK_SWAP = "01_first_swap", "16_quick_swap"


def write_pictures(folder: Path) -> None:
    """`source.png`, and `target_0.png` and so on."""
    scenes = [SyntheticScene(25, 26, 25, 26 + number, size=SIDE) for number in range(TARGETS)]
    pictures = {"source.png": next(scenes[0].source_photos())}
    pictures |= {f"target_{number}.png": scene.target_frame(0)[0] for number, scene in enumerate(scenes)}
    for name, picture in pictures.items():
        save_image(folder / name, to_uint8(picture[None])[0])


def graph(pack: Path, template: str, target: str) -> dict:
    """A pack's template with pictures from files, and the swapped picture as its only output."""
    prompt = json.loads((pack / "workflows" / "api" / f"{template}.json").read_text(encoding="utf-8"))
    world = only(prompt, SYNTHETIC)
    files = {SOURCE: "source.png", TARGET: target}
    for node in prompt.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and value[0] == world:
                node["inputs"][name] = [files.get(value[1], "unused"), 0]
    for file in files.values():
        prompt[file] = {"class_type": "LoadImage", "inputs": {"image": file}}
    (swap,) = nodes_of(prompt, SWAP) or nodes_of(prompt, QUICK)
    needed = ancestors(prompt, swap)
    return with_probe({key: node for key, node in prompt.items() if key in needed}, "shown", [swap, 0])


def measure(pack: Path, graphs: Sequence[Mapping], pictures: Path, processor: bool) -> dict[str, float]:
    """Seconds of each step in a new ComfyUI; the median where a step is repeated.

    Args:
        pack: Folder of the pack.
        graphs: The same graph with each of the targets.
        pictures: Folder of `write_pictures`.
        processor: Whether processor time is measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        link_pack(base, pack=pack)
        shutil.copytree(pictures, base / "input")
        with ComfyServer(base) as server:
            first = _seconds(server, graphs[0], processor)
            others = [_seconds(server, each, processor) for each in graphs[1:]]
            same = [_seconds(server, graphs[-1], processor) for _ in range(REPEATS)]
    return {FIRST: first, OTHER: statistics.median(others), SAME: statistics.median(same)}


def _seconds(server: ComfyServer, prompt: Mapping, processor: bool) -> float:
    """From the request to the preview, which is the last node of the graph."""
    start, spent = time.time(), processor_seconds(server)
    run = server.run(prompt)
    spent = processor_seconds(server) - spent
    end = dict(run.entry["status"]["messages"])["execution_success"]["timestamp"] / 1000
    (target,) = (node for node in prompt if node.startswith("target"))
    before = load_image(server.base / "input" / target)
    if np.abs(run.pixels("shown")[0].astype(int) - before).max() < LEAST_CHANGE:
        raise SystemExit(f"the face in {target} was not swapped")
    return spent if processor else end - start


def table(before: Mapping[str, list[float]], after: Mapping[str, list[float]]) -> str:
    """Medians of both revisions for each step, and the median, lowest and highest ratio of a round."""
    rows = ["| run | before | now | ratio |", "| --- | --- | --- | --- |"]
    for step in STEPS:
        # Processor time of almost nothing is none.
        ratios = [new / old if old else 1.0 for old, new in zip(before[step], after[step], strict=True)]
        spread = (
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if any(before[step]) else "-"
        )
        times = [f"{statistics.median(times[step]) * 1e3:.0f} ms" for times in (before, after)]
        rows.append(f"| {step} | {' | '.join(times)} | {spread} |")
    return "\n".join(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, default=ROOT, metavar="DIR", help="the pack; default: this repository")
    parser.add_argument("--against", type=Path, required=True, metavar="DIR", help="an earlier revision of it")
    parser.add_argument("--quick", action="store_true", help="Quick Face Swap in --pack, four nodes in --against")
    parser.add_argument("--processor-time", action="store_true", help="of all cores, instead of the time that passes")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    pack, against = args.pack.resolve(), args.against.resolve()
    names = [f"target_{number}.png" for number in range(TARGETS)]
    four_nodes = [graph(against, FOUR_NODES, name) for name in names]
    now = [graph(pack, QUICK_SWAP, name) for name in names] if args.quick else four_nodes
    plan = {"before": (against, four_nodes), "now": (pack, now)}
    times: dict[str, dict[str, list[float]]] = {name: {step: [] for step in STEPS} for name in plan}
    with tempfile.TemporaryDirectory() as pictures:
        write_pictures(Path(pictures))
        for number in tqdm(range(args.rounds + 1), unit="round"):
            for name in list(plan)[:: 1 if number % 2 else -1]:
                found = measure(*plan[name], Path(pictures), args.processor_time)
                for step in STEPS if number else ():
                    times[name][step].append(found[step])
    kind = "processor time, " if args.processor_time else ""
    print(f"{SIDE} x {SIDE}, {machine_name('cpu')}, {kind}median of {args.rounds} rounds\n")
    print(table(times["before"], times["now"]))


if __name__ == "__main__":
    main()
