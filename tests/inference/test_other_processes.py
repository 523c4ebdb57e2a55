"""A restorer in another process: it can be pickled, and a fork that would wait forever is refused."""

import multiprocessing
import os
import pickle
import select
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

import diffir.fork_guard
from diffir.errors import UsageError
from diffir.fork_guard import refuse_forked_process
from tests.conftest import MakeRestorer

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_pickled_restorer_restores_the_same(make_restorer: MakeRestorer, photo: np.ndarray, engine: str) -> None:
    restorer = make_restorer(engine=engine, tile=32, tile_overlap=8, seed=3)
    expected = restorer.restore(photo)

    again = pickle.loads(pickle.dumps(restorer))

    assert again.in_use() == restorer.in_use()
    assert np.array_equal(again.restore(photo), expected)


def test_a_large_network_goes_to_a_worker_without_a_file_descriptor_for_each_tensor(
    make_restorer: MakeRestorer,
) -> None:
    resource = pytest.importorskip("resource", reason="this system has no such limit")
    restorer, before = make_restorer(), resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.dup(0) for _ in range(20)]
    for descriptor in free:
        os.close(descriptor)

    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free) + 1, before[1]))
    try:
        packed = bytes(ForkingPickler.dumps(restorer))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert pickle.loads(packed).in_use() == restorer.in_use()


@pytest.mark.slow
def test_a_worker_that_is_spawned_restores_the_same(
    make_restorer: MakeRestorer, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    restorer = make_restorer()
    expected = restorer.restore(photo)

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as workers:
        results = list(workers.map(restorer.restore, [photo] * 3))

    assert all(np.array_equal(result, expected) for result in results)


def in_a_fork(work: Callable[[], object], *, seconds: float = 60) -> str:
    """Do the work in a forked child; return "done" or its error, or "hangs" after some seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(writer, b"done")
        except UsageError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    answered = select.select([reader], [], [], seconds)[0]
    if not answered:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    answer = os.read(reader, 999).decode() if answered else "hangs"
    os.close(reader)
    os.close(writer)
    return answer


@forks
def test_a_forked_child_is_told_to_spawn(make_restorer: MakeRestorer, photo: np.ndarray, two_threads: None) -> None:
    restorer = make_restorer()
    restorer.restore(photo)

    answer = in_a_fork(lambda: restorer.restore(photo))

    assert "forked" in answer
    assert "get_context('spawn')" in answer


@forks
def test_a_forked_child_with_one_thread_restores(
    make_restorer: MakeRestorer, photo: np.ndarray, two_threads: None
) -> None:
    restorer = make_restorer()
    restorer.restore(photo)

    def restore() -> None:
        torch.set_num_threads(1)
        restorer.restore(photo)

    assert in_a_fork(restore) == "done"


def test_a_forked_child_is_refused_where_it_would_hang(monkeypatch: pytest.MonkeyPatch, two_threads: None) -> None:
    monkeypatch.setattr(diffir.fork_guard, "_owner", os.getpid() + 1)

    for device in (CPU, CUDA):
        with pytest.raises(UsageError, match="spawn"):
            refuse_forked_process(device)
    torch.set_num_threads(1)
    refuse_forked_process(CPU)


def test_a_child_of_a_process_that_has_not_computed_may_compute(
    monkeypatch: pytest.MonkeyPatch, two_threads: None
) -> None:
    monkeypatch.setattr(diffir.fork_guard, "_owner", None)

    refuse_forked_process(CPU)
    refuse_forked_process(CPU)

    assert diffir.fork_guard._owner == os.getpid()


def test_a_network_is_not_loaded_where_it_would_hang(monkeypatch: pytest.MonkeyPatch, two_threads: None) -> None:
    monkeypatch.setattr(diffir.fork_guard, "_owner", os.getpid() + 1)

    with pytest.raises(UsageError, match="forked"):
        diffir.load("photo")
