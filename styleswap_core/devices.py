"""Where torch works: which device the user means, and with how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .errors import StyleSwapError


def choose_device(name: str | None = None) -> torch.device:
    """The device `name`; without a name, CUDA where torch finds it and the CPU elsewhere.

    Raises:
        StyleSwapError: torch does not know the name, or has no such device on this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    # torch raises AssertionError for a build without CUDA and RuntimeError for the rest.
    except (RuntimeError, AssertionError) as error:
        raise StyleSwapError(f"expected a device of this machine such as cpu or cuda, got {name!r}; use cpu") from error
    return device


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch's CPU operations inside run in one thread.

    For many small operations one after another, such as rendering: threads that wait for each other at each of them
    cost more than they bring, and on a machine that is busy with something else they cost many times more.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
