"""Work on one picture after the other, where a picture that fails does not stop the others."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from ..errors import StyleSwapError
from .console import EXIT_BAD_INPUT, print_note


class Planned(Protocol):
    """What is planned for one picture."""

    @property
    def target(self) -> Path:
        """The picture."""
        ...


Plan = TypeVar("Plan", bound=Planned)
Report = TypeVar("Report")
Failure = dict[str, str]
"""The picture that failed, and under "error" why."""


def run_pictures(
    plan: Sequence[Plan], description: str, work: Callable[[Plan], Report]
) -> tuple[list[Report], list[Failure]]:
    """Reports on the pictures, and those that failed.

    Args:
        plan: The pictures.
        description: Name of the work, for the progress bar, which several pictures get.
        work: Does the work for one picture, and returns its report.

    Raises:
        StyleSwapError: The only picture failed.
    """
    from tqdm import tqdm

    results: list[Report] = []
    failed: list[Failure] = []
    for one in tqdm(plan, desc=description, unit="picture", disable=len(plan) <= 1):
        try:
            results.append(work(one))
        except (StyleSwapError, OSError) as error:
            text = " ".join(str(error).split())
            text = text if str(one.target) in text else f"{one.target}: {text}"
            if len(plan) == 1:
                raise StyleSwapError(text) from error
            failed.append({"target": str(one.target), "error": text})
    return results, failed


def exit_code(failed: Sequence[Failure]) -> int:
    """Exit code of a command for several pictures; prints what failed."""
    for failure in failed:
        print_note(failure["error"])
    return EXIT_BAD_INPUT if failed else 0
