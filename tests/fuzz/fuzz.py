"""Try corrupted files of every kind for some minutes, and write the table of `docs/reliability.md`.

    python tests/fuzz/fuzz.py --minutes 30 [--write]

Each trial has a number, which repeats it: `--kind "picture png" --seed 17`.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

from fuzz_trial import CLEAN, FAULT, RIGHT, run_trial  # noqa: E402 - after sys.path
from fuzzed_kinds import KINDS  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
START, END = "<!-- fuzz -->", "<!-- /fuzz -->"
# Trials of a kind before the next kind.
_ROUND = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to try (default: %(default)s)")
    parser.add_argument("--kind", choices=list(KINDS), help="only this kind")
    parser.add_argument("--seed", type=int, help="only this trial")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    args = parser.parse_args()
    names = [args.kind] if args.kind else list(KINDS)
    if args.seed is not None:
        print(*(f"{name}: {': '.join(run_trial(name, args.seed))}" for name in names), sep="\n")
        return 0
    counts = {name: Counter() for name in names}
    end, seed, faults = time.monotonic() + 60 * args.minutes, 0, 0
    while time.monotonic() < end:
        for name in names:
            for number in range(seed, seed + _ROUND):
                outcome = run_trial(name, number)
                counts[name][outcome.verdict] += 1
                if outcome.verdict == FAULT:
                    faults += 1
                    print(f'fault: --kind "{name}" --seed {number}: {outcome.detail}', flush=True)
            if time.monotonic() >= end and seed:
                break
        seed += _ROUND
    table = _table(counts)
    print(table)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(START)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")
    return 1 if faults else 0


def _table(counts: dict[str, Counter]) -> str:
    rows = ["| kind of input | tried | clean error | right result | fault |", "| --- | --- | --- | --- | --- |"]
    total = Counter()
    for name, count in counts.items():
        total += count
        rows.append(_row(name, count))
    return "\n".join([*rows, _row("**all**", total)])


def _row(name: str, count: Counter) -> str:
    return f"| {name} | {sum(count.values()):,} | {count[CLEAN]:,} | {count[RIGHT]:,} | {count[FAULT]:,} |"


if __name__ == "__main__":
    sys.exit(main())
