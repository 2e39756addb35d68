"""Items come in order from another thread, which ends with the block whatever happens."""

import threading

import pytest

from styleswap_core.io.read_ahead import THREAD_NAME, lookahead


def running():
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def test_items_come_in_order_from_another_thread():
    threads = set()

    def items():
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    with lookahead(items(), depth=3) as ahead:
        assert list(ahead) == list(range(50))
    assert threads and threading.get_ident() not in threads and not running()


def test_it_is_never_more_than_depth_ahead():
    made, taken = [], []

    def items():
        for number in range(30):
            made.append(number)
            # `depth` are made or being made, and one is in the caller's hands.
            assert len(made) - len(taken) <= 2 + 1
            yield number

    with lookahead(items(), depth=2) as ahead:
        for number in ahead:
            taken.append(number)
    assert taken == list(range(30))


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ZeroDivisionError("the third")

    taken = []
    with pytest.raises(ZeroDivisionError, match="the third"), lookahead(items()) as ahead:
        for number in ahead:
            taken.append(number)
    assert taken == [1, 2] and not running()


@pytest.mark.parametrize("leave", ["break", "error"])
def test_leaving_early_ends_the_thread_and_closes_the_source(leave):
    closed = threading.Event()

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    def take():
        with lookahead(items(), depth=2) as ahead:
            for number in ahead:
                if number == 3:
                    if leave == "error":
                        raise KeyError(number)
                    break

    if leave == "error":
        with pytest.raises(KeyError):
            take()
    else:
        take()
    assert closed.is_set() and not running()
