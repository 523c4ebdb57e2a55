"""The worker of a fleet: an actor of Ray that holds a network and restores one block of photos after the other.

In: rows with the path of a photo below the input folder, its size and the path of its result. Out: rows of the ledger.
A photo that cannot be restored is a row with an error, so that the others go on.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from diffir.batch.events import Event, Settings
from diffir.batch.jobs import Job
from diffir.errors import DiffIRError
from diffir.fleet.ledger import SCHEMA, Row
from diffir.fleet.stores import Store


@dataclass(frozen=True)
class Work:
    """What all workers of a run have in common."""

    inputs: Store
    outputs: Store
    network: str
    """What ``diffir.load`` takes."""
    load_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of ``diffir.load``."""
    settings: Settings = field(default_factory=Settings)
    threads: int = 1
    """Threads of a worker on the CPU."""
    may_change_format: bool = True
    """A result takes another format if that of its target cannot hold it."""

    @property
    def options(self) -> str:
        """Network and options in one line, by which the ledger tells runs apart."""
        given = {**self.load_options, **{k: v for k, v in vars(self.settings).items() if v != getattr(Settings, k)}}
        return " ".join([self.network, *(f"{key}={value}" for key, value in sorted(given.items()))])


class Worker:
    """Loads the network once, then restores blocks of photos."""

    def __init__(self, work: Work) -> None:
        import torch

        from diffir.allocator import keep_freed_memory
        from diffir.api import load

        keep_freed_memory()
        torch.set_num_threads(work.threads)
        self.work = work
        self.restorer = load(work.network, **work.load_options)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Restore the photos of a block: rows with ``below``, ``size``, ``target`` and ``free_stem``."""
        return pa.Table.from_pylist(list(self._rows(block.to_pylist())), schema=SCHEMA)

    def _rows(self, photos: Sequence[Row]) -> Iterator[Row]:
        from diffir.batch.batch import run_jobs

        with tempfile.TemporaryDirectory(prefix="diffir-fleet-") as folder:
            # Fetch the photos, and restore those that came.
            jobs: dict[Path, Row] = {}
            for number, photo in enumerate(photos):
                place = Path(folder, str(number))
                try:
                    source = self.work.inputs.fetch(photo["below"], place / "in")
                except DiffIRError as error:
                    yield self._row(photo, error=str(error))
                else:
                    jobs[place / "out" / PurePosixPath(photo["target"]).name] = {**photo, "source": source}
            planned = [self._job(photo["source"], target) for target, photo in jobs.items()]
            for event in run_jobs(self.restorer, planned, self.work.settings):
                yield self._finished(jobs[event.job.target], event)

    def _job(self, source: Path, target: Path) -> Job:
        return Job(source, target, target_stem=target.with_suffix("") if self.work.may_change_format else None)

    def _finished(self, photo: Row, event: Event) -> Row:
        """Put a result into the store, and make its row."""
        address = self.work.inputs.address(photo["below"])
        if event.outcome == "failed":
            return self._row(photo, error=event.error.replace(str(event.job.source), address, 1))
        below = target_of(photo, event.target.suffix)
        content = event.target.read_bytes()
        try:
            self.work.outputs.put(event.target, below)
        except DiffIRError as error:
            return self._row(photo, error=str(error))
        event.target.unlink()  # the disk need not hold a whole block
        return self._row(
            photo,
            output=self.work.outputs.address(below),
            output_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            width=event.size[0],
            height=event.size[1],
            seconds=event.seconds,
            notes="; ".join(filter(None, [event.losses, *event.notes])),
        )

    def _row(self, photo: Row, **values: Any) -> Row:
        return row_of(self.work, photo, worker=platform.node(), **values)


def row_of(work: Work, photo: Row, **values: Any) -> Row:
    """A row of the ledger for a photo; what is not given is empty."""
    empty: Row = {"output": "", "output_bytes": 0, "sha256": "", "width": 0, "height": 0, "seconds": 0.0}
    common = {
        "input": work.inputs.address(photo["below"]),
        "input_bytes": photo["size"],
        "options": work.options,
        "finished": datetime.now(UTC),
    }
    return {**empty, "notes": "", "error": "", "worker": "", **common, **values}


def target_of(photo: Row, suffix: str) -> str:
    """Path of a result: the planned one, or a free name if its format had to change."""
    target: str = photo["target"]
    return target if target.lower().endswith(suffix.lower()) else photo["free_stem"] + suffix
