"""Results come in order from worker threads, which end with the iteration whatever happens."""

import gc
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from styleswap_core.io.read_ahead import THREAD_NAME, map_ahead, read_ahead


def worker_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def join(threads):
    gc.collect()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads)


def read_numbers(items):
    return read_ahead(items)


def map_numbers(items):
    return map_ahead(int, items, workers=3)


both = pytest.mark.parametrize("ahead_of", [read_numbers, map_numbers])


def test_items_are_read_in_order_by_one_other_thread():
    threads = set()

    def items():
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    with read_ahead(items(), depth=3) as ahead:
        assert list(ahead) == list(range(50))
    assert len(threads) == 1 and threading.get_ident() not in threads and not worker_threads()


def test_results_keep_the_order_of_their_items_even_if_later_calls_finish_first():
    finished = [threading.Event() for _ in range(12)]
    main, iterated_in, called_in = threading.get_ident(), set(), set()

    def items():
        for number in range(12):
            iterated_in.add(threading.get_ident())
            yield number

    def even_after_odd(number):
        called_in.add(threading.get_ident())
        if number % 2 == 0:
            assert finished[number + 1].wait(timeout=120)
        finished[number].set()
        return -number

    with map_ahead(even_after_odd, items(), depth=4, workers=3) as results:
        assert list(results) == [-number for number in range(12)]
    assert iterated_in == {main} and main not in called_in


def test_calls_of_another_executor_leave_it_open():
    with ThreadPoolExecutor(2, "others") as executor:
        with map_ahead(lambda number: (number, threading.current_thread().name), range(9), executor=executor) as ahead:
            results = list(ahead)
        assert [number for number, _ in results] == list(range(9))
        assert all(name.startswith("others") for _, name in results)
        assert executor.submit(int).result() == 0 and not worker_threads()


@pytest.mark.parametrize("read", [lambda items: read_ahead(items, depth=2), lambda items: map_ahead(int, items)])
def test_at_most_depth_items_are_computed_ahead(read):
    made, taken = [], []

    def items():
        for number in range(30):
            made.append(number)
            # Two are ready or being computed, and the caller holds one.
            assert len(made) - len(taken) <= 2 + 1
            yield number

    for number in read(items()):
        assert number == len(taken)
        taken.append(number)
    assert len(taken) == 30 and not worker_threads()


def one_two_error():
    yield 1
    yield 2
    raise ZeroDivisionError("the third")


def test_an_error_of_items_read_by_the_thread_comes_after_those_before_it():
    ahead = read_ahead(one_two_error(), depth=3)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ZeroDivisionError, match="the third"):
        next(ahead)
    assert not worker_threads() and list(ahead) == []


def test_an_error_of_items_iterated_by_the_caller_is_raised_when_they_are_reached():
    ahead = map_ahead(int, one_two_error(), depth=1)
    assert next(ahead) == 1
    with pytest.raises(ZeroDivisionError, match="the third"):
        next(ahead)
    assert not worker_threads() and list(ahead) == []


def test_an_error_of_a_call_comes_after_the_results_before_it():
    results = []
    with (
        pytest.raises(ZeroDivisionError),
        map_ahead(lambda divisor: 6 // divisor, [1, 2, 0, 3], depth=4, workers=4) as ahead,
    ):
        results.extend(iter(ahead.__next__, None))
    assert results == [6, 3] and not worker_threads()


@both
@pytest.mark.parametrize("leave", ["break", "error"])
def test_leaving_early_ends_the_threads_and_closes_the_generator(ahead_of, leave):
    closed = threading.Event()

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    # Held here, so that garbage collection does not close it.
    generator = items()

    def take():
        with ahead_of(generator) as ahead:
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
    assert closed.is_set() and not worker_threads()


@both
def test_threads_end_when_the_iterator_is_garbage_collected(ahead_of):
    ahead = ahead_of(range(10**9))
    assert next(ahead) == 0
    threads = worker_threads()
    assert threads
    del ahead
    join(threads)


def test_waiting_calls_are_canceled_when_the_iterator_is_closed():
    futures = []

    class BusyExecutor(Executor):
        """Completes the first call only."""

        def submit(self, call):
            future = Future()
            if not futures:
                future.set_result(call())
            futures.append(future)
            return future

    ahead = map_ahead(int, range(9), depth=3, executor=BusyExecutor())
    assert next(ahead) == 0
    ahead.close()
    assert [future.cancelled() for future in futures] == [False, True, True, True]


def test_waiting_calls_are_canceled_when_the_iterator_is_garbage_collected():
    begun, proceed, called = threading.Event(), threading.Event(), []

    def call(number):
        called.append(number)
        if number == 1:
            begun.set()
            assert proceed.wait(timeout=120)

    ahead = map_ahead(call, range(9), depth=4)
    next(ahead)
    assert begun.wait(timeout=120)
    threads = worker_threads()
    del ahead
    gc.collect()
    proceed.set()
    join(threads)
    assert called == [0, 1]


@both
def test_a_closed_iterator_is_at_its_end(ahead_of):
    ahead = ahead_of(range(9))
    assert next(ahead) == 0
    ahead.close()
    ahead.close()
    assert list(ahead) == [] and not worker_threads()


def test_no_items_make_no_results_and_no_threads():
    assert list(map_ahead(int, [])) == [] == list(read_ahead([])) and not worker_threads()
