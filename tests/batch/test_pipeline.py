"""Three stages that run at the same time, and the guarantees that their caller relies on."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import pytest

from diffir.batch.pipeline import Pipeline

PATIENCE = 60  # seconds; a test that passes waits for an event, however long it takes, and never for time


def never() -> bool:
    return False


def pipeline_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("diffir")]


def run_pipeline(
    read: Iterable[int],
    work: Callable[[int], list[int]],
    workers: int = 1,
    is_stopped: Callable[[], bool] = never,
) -> AbstractContextManager[Iterator[int]]:
    """A running pipeline that posts every item it writes."""
    pipeline: Pipeline[int, int, int] = Pipeline(is_stopped)
    return pipeline.run(read, [work] * workers, pipeline.post)


@pytest.mark.parametrize("workers", [1, 3])
def test_everything_that_is_read_is_worked_on_and_written(workers: int) -> None:
    with run_pipeline(range(50), lambda n: [n, -n], workers) as messages:
        written = sorted(messages)

    assert written == sorted([*range(50), *(-n for n in range(50))])
    assert not pipeline_threads()


def test_reading_runs_ahead_but_not_far() -> None:
    ahead, read, third_is_read = [], [], threading.Event()

    def reading() -> Iterator[int]:
        for number in range(20):
            read.append(number)
            if number == 2:
                third_is_read.set()
            yield number

    def work(number: int) -> list[int]:
        assert third_is_read.wait(PATIENCE)
        ahead.append(read[-1] - number)
        return []

    with run_pipeline(reading(), work) as messages:
        assert list(messages) == []

    assert (ahead[0], max(ahead)) == (2, 2)


@pytest.mark.parametrize("stage", ["read", "work", "write"])
def test_an_exception_reaches_the_caller_and_leaves_no_thread_behind(stage: str) -> None:
    def fail(number: int) -> list[int]:
        if number == 3:
            raise ZeroDivisionError(stage)
        return [number]

    def reading() -> Iterator[int]:
        yield from (fail(number)[0] if stage == "read" else number for number in range(1000))

    work = fail if stage == "work" else lambda number: [number]
    write = fail if stage == "write" else lambda number: None

    with pytest.raises(ZeroDivisionError, match=stage), Pipeline(never).run(reading(), [work], write) as messages:
        list(messages)

    assert not pipeline_threads()


def test_after_a_stop_the_current_item_is_written_and_no_other_started() -> None:
    stopped = threading.Event()

    def work(number: int) -> list[int]:
        if number == 2:
            stopped.set()
        return [number]

    with run_pipeline(range(1000), work, is_stopped=stopped.is_set) as messages:
        assert list(messages) == [0, 1, 2]


def test_a_caller_who_leaves_early_waits_no_longer_than_until_the_next_check() -> None:
    pipeline: Pipeline[int, int, int] = Pipeline(never)
    finished = []

    def work(number: int) -> list[int]:
        end = time.monotonic() + (PATIENCE if number else 0)
        while time.monotonic() < end:
            pipeline.check()
            time.sleep(0.001)
        finished.append(number)
        return [number]

    with pipeline.run(range(1000), [work], pipeline.post) as messages:
        assert next(messages) == 0

    assert finished == [0]
    assert not pipeline_threads()


class Result:
    """A stand-in for a photo, which weak references can follow."""


def test_a_result_that_was_written_is_not_kept_while_the_next_is_worked_on() -> None:
    written, alive = threading.Event(), []
    results: list[weakref.ref[Result]] = []

    def work(number: int) -> Iterator[Result]:
        if number == 1:
            assert written.wait(PATIENCE)
            gc.collect()
            alive.extend(result() for result in results)
        result = Result()
        results.append(weakref.ref(result))
        yield result

    pipeline: Pipeline[int, Result, int] = Pipeline(never)
    with pipeline.run(range(3), [work], lambda _: written.set()) as messages:
        list(messages)

    assert alive == [None]
