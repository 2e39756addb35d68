"""Everything that is to be known about a GPU, in one run of at most nine minutes.

    python benchmarks/gpu/gpu_run.py --out gpu-results
    python benchmarks/gpu/gpu_run.py --out gpu-results --quick

Three parts: whether the device computes what the CPU computes, how fast it is, and a better demo model. Nothing is
installed or fetched. Each part has a share of the time; results.json and results.md are written after every row, so
that a run that is cut short gives what it had. `--quick` runs all parts with tiny settings, also on a CPU.
"""

import argparse
import json
import platform
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

# The other benchmarks, and the package of this repository.
_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent), str(_HERE.parents[1])]

import demo_model  # noqa: E402
import fast  # noqa: E402
import right  # noqa: E402
import torch  # noqa: E402
from machine import machine_name  # noqa: E402
from results_page import page  # noqa: E402
from time_share import TimeShare  # noqa: E402

PARTS = {"right": 0.12, "fast": 0.36, "model": 0.52}
"""Parts in order, with their shares of the time; what one does not use is left to the next."""

LARGEST_RESULTS = 16 * 2**20


class Results:
    """The results of a run and the folder that they are written to.

    Attributes:
        record: What is written to results.json.
    """

    def __init__(self, out: Path, args: argparse.Namespace, device: torch.device) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out = out
        self.record: dict = {
            "device": str(device),
            "machine": machine_name(device.type),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "python": platform.python_version(),
            "minutes": args.minutes,
            "quick": args.quick,
            "parts": {},
        }

    def write(self) -> None:
        """Write the record and the page, each in one step, so that a cut run leaves whole files."""
        for name, text in (("results.json", json.dumps(self.record, indent=1)), ("results.md", page(self.record))):
            temporary = self._out / f".{name}"
            temporary.write_text(text + "\n", encoding="utf-8")
            temporary.replace(self._out / name)

    def size(self) -> int:
        """Bytes in the folder."""
        return sum(path.stat().st_size for path in self._out.iterdir() if path.is_file())


def run_part(
    name: str, share: TimeShare, args: argparse.Namespace, device: torch.device, found: dict
) -> Iterator[None]:
    """Run a part, which fills `found`; yields whenever there is something new."""
    if name == "right":
        found["bars"] = []
        return right.check(device, share, args.quick, found["bars"])
    if name == "fast":
        return fast.measure(device, share, args.quick, found)
    return demo_model.train(device, share, args.quick, found, args.out, args.ship)


def main(words: list[str] | None = None) -> int:
    """Run the parts; returns 0 unless one of them failed."""
    args = parse_arguments(words)
    device = torch.device(args.device)
    results, whole = Results(args.out, args, device), TimeShare(60 * args.minutes)
    weights = {name: weight for name, weight in PARTS.items() if name in args.parts}
    failed = []
    for name in weights:
        share, found = whole.part(weights, name), results.record["parts"].setdefault(name, {})
        try:
            for _ in run_part(name, share, args, device, found):
                results.write()
        # A part that fails must not cost the others.
        except Exception as error:
            failed.append(name)
            found["failed"] = f"{type(error).__name__}: {error}"[:500]
            traceback.print_exc()
        found["seconds"] = round(share.spent, 1)
        results.write()
        print(f"{name}: {share.spent:.0f} s of {share.seconds:.0f}", file=sys.stderr)
    results.record["seconds"] = round(whole.spent, 1)
    results.write()
    print((args.out / "results.md").read_text(encoding="utf-8"))
    if results.size() > LARGEST_RESULTS:
        print(f"warning: {args.out} holds more than {LARGEST_RESULTS // 2**20} MB", file=sys.stderr)
    return 1 if failed else 0


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--device", help="cuda or cpu (default: cuda; with --quick cpu if there is no GPU)")
    parser.add_argument("--minutes", type=float, default=8.5, help="limit of the run (default: %(default)s)")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts to run")
    parser.add_argument("--ship", type=Path, help="replace this file by the new model if it keeps all bars")
    parser.add_argument("--quick", action="store_true", help="tiny settings: only checks that everything runs")
    args = parser.parse_args(words)
    if args.device is None:
        args.device = "cuda" if torch.cuda.is_available() or not args.quick else "cpu"
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("expected a GPU that PyTorch can use, got none; add --quick to check on the CPU that it runs")
    return args


if __name__ == "__main__":
    sys.exit(main())
