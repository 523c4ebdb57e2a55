"""The output of ``diffir restore``: lines and a progress bar for people, or one JSON object per line for programs.

In: restorers, events and progress. Out: text. For people, results go to stdout, failures and the bar to stderr. With
JSON, all events go to stdout and nothing else does. Each line is flushed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from diffir.cli.terminal import progress_bar, say

if TYPE_CHECKING:
    from tqdm import tqdm

    from diffir.batch.events import Event
    from diffir.inference.restorer import Restorer

JSON_FIELDS = """\
start (with -n auto one for each network): model, scale, devices, files, precision, tile, tile_overlap, tta, strength,
seamless, mask_grow, seed, engine, stats (options of DiffIR; weights with a weaker twin also have denoise_strength, and
a chain has members, a list of the options in which its networks differ); progress: file, fraction;
done, planned (in a dry run; with -n auto also network, null for a photo that is left as it is, and why): source,
target, deviation (the map of --uncertainty, or null), width, height, seconds, tile (null: whole), notes, losses;
skipped: source, target; failed: source, error;
summary: restored, skipped, failed, not_begun, interrupted, dry_run, seconds, megapixels_per_second"""


@dataclass
class Tally:
    """Counts, size and time of a run, for its summary."""

    files: int
    restored: int = 0
    skipped: int = 0
    failed: int = 0
    pixels: int = 0
    """Number of input pixels that were restored."""
    seconds: float = 0
    """Seconds from start to end of the run, not the sum over files."""
    is_interrupted: bool = False
    is_prediction: bool = False
    """True if nothing was restored, and the numbers say what would be."""

    @property
    def not_begun(self) -> int:
        """Number of files that were not started, or not finished before an interrupt."""
        return self.files - self.restored - self.skipped - self.failed

    @property
    def megapixels_per_second(self) -> float:
        """Megapixels of the input restored per second."""
        return self.pixels / 1e6 / self.seconds if self.seconds else 0.0

    def count(self, event: Event) -> None:
        """Add the result of one file."""
        self.restored += event.outcome in ("done", "planned")
        self.skipped += event.outcome == "skipped"
        self.failed += event.outcome == "failed"
        self.pixels += event.pixels


class Report(Protocol):
    """The output of a run, in one of the two forms."""

    def start(self, restorers: Sequence[Restorer], files: int) -> None:
        """Print the model, the devices and the settings before the first of so many files."""

    def progress(self, source: Path, fraction: float) -> None:
        """Show the fraction done, 0 to 1, of a file that is being restored."""

    def event(self, event: Event) -> None:
        """Print the result of a file."""

    def finish(self, tally: Tally) -> None:
        """Print the summary, also after an interrupt."""


class TextReport:
    """Lines and a progress bar for people."""

    def __init__(self, is_quiet: bool = False, is_verbose: bool = False) -> None:
        """
        Args:
            is_quiet: print failures only, and show no bar.
            is_verbose: print a line for skipped files as well.
        """
        self._is_quiet = is_quiet
        self._is_verbose = is_verbose
        self._bar: tqdm | None = None

    def start(self, restorers: Sequence[Restorer], files: int) -> None:
        """Print one line and show the bar, which counts fractions of files; a redirected stderr gets no bar."""
        if not self._is_quiet:
            _say(headline(restorers), sys.stdout)
        if self._bar is not None:  # of the network before, with -n auto
            self._bar.close()
        layout = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        self._bar = progress_bar(None, files, bar_format=layout, disable=True if self._is_quiet else None)
        self._ended = 0
        self._fractions: dict[Path, float] = {}

    def progress(self, source: Path, fraction: float) -> None:
        """Update the bar with the progress of a file."""
        self._fractions[source] = fraction
        self._update_bar()

    def event(self, event: Event) -> None:
        """Print one line for a result or a failure, and none for a skipped file."""
        self._fractions.pop(event.job.source, None)
        self._ended += 1
        self._update_bar()
        if event.outcome == "failed":
            self._print(f"diffir: {event.error}", sys.stderr)
        elif self._is_quiet:
            return
        elif event.outcome in ("done", "planned"):
            self._print(result_line(event), sys.stdout)
        elif self._is_verbose:
            self._print(skipped_line(event), sys.stdout)

    def finish(self, tally: Tally) -> None:
        """Print the summary, unless a single file was restored."""
        if self._bar is not None:
            self._bar.close()
        if not self._is_quiet and (tally.files > 1 or not tally.restored or tally.is_prediction):
            _say(summary_line(tally), sys.stdout)

    def _update_bar(self) -> None:
        assert self._bar is not None
        self._bar.update(self._ended + sum(self._fractions.values()) - self._bar.n)

    def _print(self, line: str, stream: TextIO) -> None:
        assert self._bar is not None
        with self._bar.external_write_mode(file=stream):
            _say(line, stream)


class JsonReport:
    """One JSON object per line for programs, see ``JSON_FIELDS``."""

    def start(self, restorers: Sequence[Restorer], files: int) -> None:
        """Print the event "start" once."""
        first, used = restorers[0], restorers[0].in_use()
        self._print(
            "start",
            model=first.name,
            scale=first.scale,
            devices=[str(restorer.device) for restorer in restorers],
            files=files,
            **{name: value for name, value in used.items() if name not in ("device", "prior")},
        )

    def progress(self, source: Path, fraction: float) -> None:
        """Print the event "progress", a few times a second."""
        self._print("progress", file=str(source), fraction=round(fraction, 4))

    def event(self, event: Event) -> None:
        """Print the event "done", "skipped" or "failed" of a file."""
        source, target = str(event.job.source), str(event.target)
        if event.outcome == "failed":
            self._print("failed", source=source, error=event.error)
        elif event.outcome == "skipped":
            self._print("skipped", source=source, target=target)
        else:
            self._print(
                event.outcome,
                source=source,
                target=target,
                deviation=None if event.job.deviation_target is None else str(event.job.deviation_target),
                width=event.size[0],
                height=event.size[1],
                seconds=round(event.seconds, 3),
                tile=event.tile,
                notes=list(event.notes),
                losses=event.losses,
                **({"network": event.network or None, "why": event.why} if event.why else {}),
            )

    def finish(self, tally: Tally) -> None:
        """Print the event "summary" once."""
        self._print(
            "summary",
            restored=tally.restored,
            skipped=tally.skipped,
            failed=tally.failed,
            not_begun=tally.not_begun,
            interrupted=tally.is_interrupted,
            dry_run=tally.is_prediction,
            seconds=round(tally.seconds, 3),
            megapixels_per_second=round(tally.megapixels_per_second, 4),
        )

    def _print(self, event: str, **fields: object) -> None:
        # json.dumps writes ASCII, so that file names in any script, even invalid ones, pass through any terminal.
        _say(json.dumps({"event": event, **fields}), sys.stdout)


def _say(line: str, stream: TextIO) -> None:
    """Print a line; if it cannot be written, restoring goes on, since the photos matter more than the report."""
    say(line, stream, must_arrive=False)


def headline(restorers: Sequence[Restorer]) -> str:
    """One line with the model, the devices and the settings of a run."""
    if not restorers[0].members:
        return "no network: skipped, or left as they are"
    first, used = restorers[0], restorers[0].in_use()
    devices = " + ".join(str(restorer.device) for restorer in restorers)
    tile = {0: "by memory", -1: "never"}.get(used["tile"], f"{used['tile']} overlap {used['tile_overlap']}")
    engine = f", engine {used['engine']}" if "engine" in used else ""
    statistics = f", statistics {used['stats']}" if "stats" in used else ""
    enlarged = f" x{first.scale}" if first.scale > 1 else ""
    line = f"model {first.name}{enlarged}, device {devices}, precision {used['precision']}{engine}"
    line += f", tile {tile}{statistics}" + (f", seed {used['seed']}" if first.draws_at_random else "")
    line += ", self-ensemble of 8" if used["tta"] else ""
    line += ", seamless" if used["seamless"] else ""
    line += f", mask grown by {used['mask_grow']}" if used["mask_grow"] else ""
    mixes = [one["denoise_strength"] for one in used.get("members", [used]) if "denoise_strength" in one]
    line += f", denoise strength {mixes[0]:g}" if mixes else ""
    return line + (f", strength {used['strength']:g}" if used["strength"] < 1 else "")


def result_line(event: Event) -> str:
    """One line with the source, the target, its size and remarks of a restored file."""
    width, height = event.size
    choice = f"{event.network or 'no network'}: {event.why}" if event.why else ""
    remarks = "; ".join(filter(None, (choice, *event.notes, event.losses)))
    line = f"{event.job.source} -> {event.target}  {width} x {height}, "
    if event.outcome == "planned":
        line += f"about {_duration(event.seconds)}"
    else:
        line += f"{event.seconds:.1f} s, " + ("whole" if event.tile is None else f"tile {event.tile}")
    return f"{line} ({remarks})" if remarks else line


def _duration(seconds: float) -> str:
    """Seconds in the largest unit of which there are two, such as "4 minutes"."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def skipped_line(event: Event) -> str:
    """One line with the source and the target of a skipped file, and why it was skipped."""
    return f"{event.job.source} -> {event.target}  skipped ({'; '.join(event.notes) or 'the result exists'})"


def summary_line(tally: Tally) -> str:
    """One line with the numbers of files, the time and the speed of a run."""
    if tally.is_prediction:
        counts = f"{tally.restored} would be restored, {tally.skipped} skipped, {tally.failed} would fail"
        return f"{counts}, about {_duration(tally.seconds)}; nothing was written"
    line = f"{tally.restored} restored, {tally.skipped} skipped, {tally.failed} failed, {tally.seconds:.1f} s"
    if tally.restored:
        line += f", {tally.megapixels_per_second:.2g} megapixels/s"
    return line + (f"; interrupted, {tally.not_begun} not begun" if tally.not_begun else "")
