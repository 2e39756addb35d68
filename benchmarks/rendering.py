"""Cost of a rendered picture with plain and with fused kernels, measured alternately in one process.

    python benchmarks/rendering.py --threads 1

Prints milliseconds of CPU time per 128 px picture, and their ratio. Fused kernels are meant for bulk rendering; their
compilation, which takes a minute or two, is not counted.
"""

import argparse
import json
import statistics
import time

import torch

from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.synthetic.kernels import EAGER, Kernels, fused
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import five_points, render

FRAME_SIZE = 256


def cost(kernels: Kernels, first: int, count: int, size: int) -> float:
    """Milliseconds of CPU time per aligned face, averaged over `count` people and attributes from seed `first` on."""
    seeds = range(first, first + count)
    people, attributes = Identities.from_seeds(seeds), Attributes.from_seeds(seeds)
    window = estimate_similarity(five_points(people, attributes, FRAME_SIZE), template_points("ffhq", size))
    start = time.process_time()
    render(people, attributes, size, window=window, frame_size=FRAME_SIZE, kernels=kernels)
    return (time.process_time() - start) * 1000 / count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--pictures", type=int, default=16, help="pictures per round")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    contenders = {"plain": EAGER, "fused": fused()}
    for kernels in contenders.values():
        for first in (0, args.pictures):
            cost(kernels, first, args.pictures, args.size)
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(args.rounds):
        for name, kernels in contenders.items():
            spent[name].append(cost(kernels, turn * args.pictures, args.pictures, args.size))
    medians = {name: statistics.median(values) for name, values in spent.items()}
    result = {
        "size": args.size,
        "threads": args.threads,
        **{f"{name}_ms_per_picture": round(value, 1) for name, value in medians.items()},
        "plain_over_fused": round(medians["plain"] / medians["fused"], 2),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
