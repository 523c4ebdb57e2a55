"""Restore all photos of a folder or a bucket with Ray Data: one worker for each GPU or for some CPU cores.

In: a ``Work`` and the size of the fleet. Out: rows of the ledger, as photos are finished. Ray starts a worker that died
again and repeats its block. Photos that have no row in the end are tried once more, each in a block of its own, so
that a photo that kills its worker takes no other with it.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from diffir.batch.jobs import target_names
from diffir.errors import DiffIRError, MissingDependency
from diffir.fleet.ledger import Ledger, Row
from diffir.fleet.stores import StoredPhoto
from diffir.fleet.worker import Work, Worker, row_of
from diffir.image_io import WRITABLE_SUFFIXES

_BLOCK = 8  # largest number of photos that are lost and done again when a worker dies
_BLOCKS_A_WORKER = 4  # so that all workers end at about the same time
_TRIES = 3  # deaths of a worker that a block survives


@dataclass(frozen=True)
class Fleet:
    """How many workers there are, and what each of them takes."""

    workers: int | None
    """None: as many as fit."""
    cpus: float = 1
    """CPU cores of a worker."""
    gpus: float = 0
    """GPUs of a worker; 0.5 lets two share one."""
    address: str | None = None
    """Address of a running Ray cluster, such as auto or ray://HOST:10001; None starts Ray on this machine."""


def plan(photos: Sequence[StoredPhoto], ext: str) -> list[Row]:
    """Give each photo the path of its result below the output folder.

    Args:
        ext: ``auto`` keeps the format where it can be written; otherwise a suffix without dot.
    Returns:
        Rows with ``below``, ``size``, ``target`` and ``free_stem``, a path that stays free whatever suffix it gets.
    """
    targets = target_names([PurePosixPath(photo.below) for photo in photos], "", ext)
    taken = {str(target).lower() for target in targets}
    return [
        {"below": photo.below, "size": photo.size, "target": str(target), "free_stem": _free_stem(target, taken)}
        for photo, target in zip(photos, targets, strict=True)
    ]


def unfinished(rows: Sequence[Row], ledger: Ledger, work: Work, *, retry_failed: bool) -> list[Row]:
    """Leave out the photos that the ledger has a row for, with these options and the same size.

    Args:
        retry_failed: keep those that failed.
    """
    last = {row["input"]: row for row in ledger.rows() if row["options"] == work.options}
    kept = []
    for row in rows:
        known = last.get(work.inputs.address(row["below"]))
        is_finished = known is not None and known["input_bytes"] == row["size"]
        if known is None or not is_finished or (retry_failed and known["error"]):
            kept.append(row)
    return kept


def restore_all(rows: Sequence[Row], work: Work, fleet: Fleet) -> Iterator[list[Row]]:
    """Restore the planned photos, and yield rows of the ledger as they are finished, in any order.

    Raises:
        MissingDependency: Ray is not installed.
        DiffIRError: Ray cannot be started or reached, or lacks the resources of a worker.
    """
    ray = _started(fleet)
    try:
        workers = _workers(fleet, ray.cluster_resources())
        left = {work.inputs.address(row["below"]): row for row in rows}
        for block in (_BLOCK, 1):
            for finished in _restored(ray, list(left.values()), work, replace(fleet, workers=workers), block):
                for row in finished:
                    left.pop(row["input"], None)
                yield finished
            if not left:
                return
        cause = f"its worker died {_TRIES + 1} times: the photo may take more memory than there is"
        yield [row_of(work, row, error=f"{address}: {cause}") for address, row in left.items()]
    finally:
        ray.shutdown()


def _started(fleet: Fleet) -> Any:
    """The module ``ray``, connected to a cluster, which sends nothing to its makers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it reports each start of a worker as an error
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingDependency("ray", "diffir fleet", "fleet") from None
    cores = math.ceil(fleet.cpus * (fleet.workers or 1))
    local: dict[str, Any] = {} if fleet.address else {"include_dashboard": False, "num_cpus": _cpus(cores)}
    try:
        ray.init(fleet.address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **local)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise DiffIRError(f"Ray cannot be reached: {' '.join(str(error).split())}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # what has no row in the end is tried again
    return ray


def _restored(ray: Any, rows: list[Row], work: Work, fleet: Fleet, block: int) -> Iterator[list[Row]]:
    """Restore photos in blocks; blocks whose worker died too often are missing."""
    assert fleet.workers is not None
    block = max(1, min(block, len(rows) // (fleet.workers * _BLOCKS_A_WORKER)))
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the last argument goes with Ray 2.64, which setup.py excludes
        data = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // block)).map_batches(
            Worker,
            fn_constructor_args=(work,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=fleet.workers),
            num_cpus=fleet.cpus,
            num_gpus=fleet.gpus or None,
            ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": _TRIES},
        )
    for finished in data.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield finished.to_pylist()


def _cpus(cores: int) -> int:
    """CPUs that Ray may hand out on this machine: those that there are, and no fewer than the workers were given."""
    return max(os.cpu_count() or 1, cores)


def _workers(fleet: Fleet, there: Mapping[str, float]) -> int:
    """The number of workers.

    Args:
        there: resources of the cluster.
    Raises:
        DiffIRError: it has too few.
    """
    needs = {name: need for name, need in (("CPU", fleet.cpus), ("GPU", fleet.gpus)) if need}
    fit = min(int(there.get(name, 0) / need) for name, need in needs.items())
    if fit < (fleet.workers or 1):
        has = ", ".join(f"{there.get(name, 0):g} {name}" for name in needs)
        wanted = " and ".join(f"{need:g} {name}" for name, need in needs.items())
        raise DiffIRError(f"a worker needs {wanted}, and there are {has}, so {fit} fit; change --workers or --cpus")
    return fleet.workers or fit


def _free_stem(target: PurePosixPath, taken: set[str]) -> str:
    """The target's name, with underscores until no target has it with another suffix."""
    stem = str(target)
    while any(f"{stem}{suffix}".lower() in taken for suffix in WRITABLE_SUFFIXES):
        stem += "_"
    return stem
