"""Three stages at once: what they promise to whoever waits for them."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from diffir.batch.pipeline import Overlap


def never() -> bool:
    return False


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("diffir")]


def make_overlap(
    read: Iterator[int],
    work: Callable[[int], list[int]],
    workers: int = 1,
    is_stopped: Callable[[], bool] = never,
) -> Overlap[int, int, int]:
    """Posts what is written."""
    overlap: Overlap[int, int, int] = Overlap(read, [work] * workers, lambda item: overlap.post(item), is_stopped)
    return overlap


@pytest.mark.parametrize("workers", [1, 3])
def test_everything_that_is_read_is_worked_on_and_written(workers: int) -> None:
    with make_overlap(iter(range(50)), lambda n: [n, -n], workers) as overlap:
        written = sorted(overlap)

    assert written == sorted([*range(50), *(-n for n in range(50))])
    assert not threads_of_ours()


def test_reading_runs_ahead_but_not_far() -> None:
    ahead, read = [], []

    def reading() -> Iterator[int]:
        for number in range(20):
            read.append(number)
            yield number

    def work(number: int) -> list[int]:
        time.sleep(0.01)
        ahead.append(read[-1] - number)
        return []

    with make_overlap(reading(), work) as overlap:
        assert list(overlap) == []

    assert max(ahead) == 2


@pytest.mark.parametrize("stage", ["read", "work", "write"])
def test_an_exception_travels_and_leaves_no_thread_behind(stage: str) -> None:
    def fail(number: int) -> list[int]:
        if number == 3:
            raise ZeroDivisionError(stage)
        return [number]

    def reading() -> Iterator[int]:
        yield from (fail(number)[0] if stage == "read" else number for number in range(1000))

    work = fail if stage == "work" else lambda number: [number]
    write = fail if stage == "write" else lambda number: None

    with pytest.raises(ZeroDivisionError, match=stage), Overlap(reading(), [work], write, never) as overlap:
        list(overlap)

    assert not threads_of_ours()


def test_after_a_stop_what_is_in_hand_is_written_and_no_more_begun() -> None:
    stopped = threading.Event()

    def work(number: int) -> list[int]:
        if number == 2:
            stopped.set()
        return [number]

    with make_overlap(iter(range(1000)), work, is_stopped=stopped.is_set) as overlap:
        assert list(overlap) == [0, 1, 2]


def test_who_leaves_early_waits_for_no_more_than_a_check() -> None:
    def work(number: int) -> list[int]:
        for _ in range(1000):
            overlap.check()
            time.sleep(0.01)
        return [number]

    overlap = make_overlap(iter(range(1000)), lambda number: [number] if number == 0 else work(number))
    start = time.perf_counter()
    with overlap:
        assert next(iter(overlap)) == 0

    assert time.perf_counter() - start < 2
    assert not threads_of_ours()


class Result:
    """As large as a photo."""


def test_a_result_that_was_written_is_not_kept_while_the_next_is_worked_on() -> None:
    written, alive = threading.Event(), []
    results: list[weakref.ref[Result]] = []

    def work(number: int) -> Iterator[Result]:
        if number == 1:
            assert written.wait(10)
            gc.collect()
            alive.extend(result() for result in results)
        result = Result()
        results.append(weakref.ref(result))
        yield result

    overlap: Overlap[int, Result, int] = Overlap(iter(range(3)), [work], lambda _: written.set(), never)
    with overlap:
        list(overlap)

    assert alive == [None]
