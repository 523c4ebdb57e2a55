"""What ``diffir restore`` tells: lines under a progress bar for people, or one JSON object a line for programs.

In: restorers, events, shares of work. Out: text. For people results go to stdout, failures and the bar to stderr; as
JSON everything goes to stdout and nothing else does. Each line is flushed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

    from diffir.batch.events import Event
    from diffir.inference.restorer import Restorer

JSON_FIELDS = """\
start: model, scale, devices, precision, engine, tile, stats, seed, files; progress: file, fraction;
done: source, target, width, height, seconds, tile (null: whole), notes, losses; skipped: source, target;
failed: source, error; summary: restored, skipped, failed, not_begun, interrupted, seconds, megapixels_per_second"""


@dataclass
class Tally:
    """How a run went."""

    files: int
    restored: int = 0
    skipped: int = 0
    failed: int = 0
    pixels: int = 0
    seconds: float = 0
    """By the clock, not the sum over files."""
    is_interrupted: bool = False

    @property
    def not_begun(self) -> int:
        """Or not finished, after an interrupt."""
        return self.files - self.restored - self.skipped - self.failed

    @property
    def megapixels_per_second(self) -> float:
        """Of the input."""
        return self.pixels / 1e6 / self.seconds if self.seconds else 0.0

    def count(self, event: Event) -> None:
        """Add what became of one file."""
        self.restored += event.outcome == "done"
        self.skipped += event.outcome == "skipped"
        self.failed += event.outcome == "failed"
        self.pixels += event.pixels


class Report(Protocol):
    """Who tells the user."""

    def start(self, restorers: Sequence[Restorer], files: int) -> None:
        """What runs where."""

    def progress(self, source: Path, share: float) -> None:
        """How far a file in hand is."""

    def event(self, event: Event) -> None:
        """What became of a file."""

    def finish(self, tally: Tally) -> None:
        """The end, also after an interrupt."""


class TextReport:
    """For people."""

    def start(self, restorers: Sequence[Restorer], files: int) -> None:
        """One line, then the bar, which moves with parts of files, too; none where nobody watches."""
        from tqdm import tqdm

        _say(headline(restorers), sys.stdout)
        layout = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        self._bar: tqdm = tqdm(total=files, leave=False, disable=None, bar_format=layout)
        self._told = 0
        self._shares: dict[Path, float] = {}

    def progress(self, source: Path, share: float) -> None:
        """Move the bar."""
        self._shares[source] = share
        self._bar.update(self._told + sum(self._shares.values()) - self._bar.n)

    def event(self, event: Event) -> None:
        """A line for a result or a failure, none for what is skipped."""
        self._shares.pop(event.job.source, None)
        self._told += 1
        self._bar.update(self._told + sum(self._shares.values()) - self._bar.n)
        if event.outcome == "failed":
            self._print(f"diffir: {event.error}", sys.stderr)
        elif event.outcome == "done":
            self._print(result_line(event), sys.stdout)

    def finish(self, tally: Tally) -> None:
        """The summary, where there is something to sum up."""
        self._bar.close()
        if tally.files > 1 or not tally.restored:
            _say(summary_line(tally), sys.stdout)

    def _print(self, line: str, stream: TextIO) -> None:
        with self._bar.external_write_mode(file=stream):
            _say(line, stream)


class JsonReport:
    """For programs."""

    def start(self, restorers: Sequence[Restorer], files: int) -> None:
        """Once."""
        first = restorers[0]
        self._print(
            "start",
            model=first.name,
            scale=first.scale,
            devices=[str(restorer.device) for restorer in restorers],
            precision=first.precision,
            engine=first.engine,
            tile=first.tile,
            stats=first.stats,
            seed=first.seed,
            files=files,
        )

    def progress(self, source: Path, share: float) -> None:
        """A few times a second."""
        self._print("progress", file=str(source), fraction=round(share, 4))

    def event(self, event: Event) -> None:
        """Once a file."""
        source, target = str(event.job.source), str(event.target)
        if event.outcome == "failed":
            self._print("failed", source=source, error=event.error)
        elif event.outcome == "skipped":
            self._print("skipped", source=source, target=target)
        else:
            self._print(
                "done",
                source=source,
                target=target,
                width=event.size[0],
                height=event.size[1],
                seconds=round(event.seconds, 3),
                tile=event.tile,
                notes=list(event.notes),
                losses=event.losses,
            )

    def finish(self, tally: Tally) -> None:
        """Once."""
        self._print(
            "summary",
            restored=tally.restored,
            skipped=tally.skipped,
            failed=tally.failed,
            not_begun=tally.not_begun,
            interrupted=tally.is_interrupted,
            seconds=round(tally.seconds, 3),
            megapixels_per_second=round(tally.megapixels_per_second, 4),
        )

    def _print(self, event: str, **fields: object) -> None:
        # ASCII, so that names in any script, and even broken ones, pass through any terminal and come back.
        _say(json.dumps({"event": event, **fields}), sys.stdout)


def _say(line: str, stream: TextIO) -> None:
    """Print; once the stream takes no more, as after ``| head``, it leads nowhere: photos matter more than words."""
    try:
        print(line, file=stream, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # what waits in the stream's buffer goes there, too
        os.close(nowhere)


def headline(restorers: Sequence[Restorer]) -> str:
    """What runs where."""
    first = restorers[0]
    devices = " + ".join(str(restorer.device) for restorer in restorers)
    tile = {0: "by memory", -1: "never"}.get(first.tile, f"{first.tile} overlap {first.tile_overlap}")
    enlarged = f" x{first.scale}" if first.scale > 1 else ""
    line = f"model {first.name}{enlarged}, device {devices}, precision {first.precision}, engine {first.engine}"
    line += f", tile {tile}, statistics {first.stats}, seed {first.seed}"
    line += ", self-ensemble of 8" if first.tta else ""
    return line + (f", strength {first.strength:g}" if first.strength < 1 else "")


def result_line(event: Event) -> str:
    """What was written, and what of it the user should know."""
    width, height = event.size
    tile = "whole" if event.tile is None else f"tile {event.tile}"
    remarks = "; ".join(filter(None, (*event.notes, event.losses)))
    line = f"{event.job.source} -> {event.target}  {width} x {height}, {event.seconds:.1f} s, {tile}"
    return f"{line} ({remarks})" if remarks else line


def summary_line(tally: Tally) -> str:
    """Numbers of files, time, speed."""
    line = f"{tally.restored} restored, {tally.skipped} skipped, {tally.failed} failed, {tally.seconds:.1f} s"
    if tally.restored:
        line += f", {tally.megapixels_per_second:.2g} megapixels/s"
    return line + (f"; interrupted, {tally.not_begun} not begun" if tally.not_begun else "")
