"""A photo from standard input, and a result to standard output: the file name ``-``.

In: the inputs and the output of a call. Out: files in a temporary folder that stand for the streams while the call
runs. What is printed goes to standard error then, and messages name the streams instead of the files.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.restore_report import Report, Tally
from diffir.errors import DiffIRError, ImageError, UsageError

if TYPE_CHECKING:
    from diffir.batch.events import Event
    from diffir.inference.restorer import Restorer

STREAM = "-"
_INPUT, _OUTPUT = "standard input", "standard output"


@dataclass(frozen=True)
class StreamFiles:
    """Inputs and output of a call, with files in place of the streams."""

    inputs: list[str]
    output: str
    names: dict[Path, str]
    """Names for messages, by the file or folder that stands for a stream."""
    writes_one: bool
    """True if the result goes to standard output, so that there can be only one."""

    def shown(self, path: Path) -> Path:
        """Return the path to show in messages."""
        found = (name for place, name in self.names.items() if path == place or place in path.parents)
        return Path(next(found, path))


@contextmanager
def stream_files(inputs: Sequence[str], output: str, *, prints_json: bool) -> Iterator[StreamFiles]:
    """Read standard input into a file, and write the file for standard output there if the block succeeds.

    Raises:
        UsageError: the streams cannot be used in this call.
        ImageError: standard input is no image.
    """
    # Check what can be known before reading.
    if STREAM in inputs and len(inputs) > 1:
        raise UsageError("- stands for one photo on standard input: name no other input beside it")
    if output == STREAM and prints_json:
        raise UsageError("--json and -o - would both write to standard output: give a file to one of them")
    if output == STREAM and sys.stdout.isatty():
        raise UsageError("the photo would be printed on the terminal: redirect standard output, or name a file with -o")
    import tempfile  # with random and hashlib, which no help needs

    with tempfile.TemporaryDirectory(prefix="diffir-") as name:
        folder = Path(name)
        names: dict[Path, str] = {}
        if STREAM in inputs:
            source = _read_input(folder)
            inputs, names = [str(source)], {source: _INPUT}
        if output != STREAM:
            yield StreamFiles(list(inputs), output, names, writes_one=False)
            return
        # Everything that is printed goes to standard error, so that standard output has the photo alone.
        target = folder / "result"
        with redirect_stdout(sys.stderr):
            yield StreamFiles(list(inputs), f"{target}/", names | {target: _OUTPUT}, writes_one=True)
        for path in target.glob("[!.]*"):
            _write_output(path)


class StreamReport:
    """A report that names the streams instead of the files that stand for them."""

    def __init__(self, report: Report, files: StreamFiles) -> None:
        self._report = report
        self._files = files

    def start(self, restorers: "Sequence[Restorer]", files: int) -> None:
        """Pass on the start of the run."""
        self._report.start(restorers, files)

    def progress(self, source: Path, fraction: float) -> None:
        """Pass on the progress of a file."""
        self._report.progress(self._files.shown(source), fraction)

    def event(self, event: "Event") -> None:
        """Pass on the result of a file under the name of the stream."""
        error = event.error
        for path in (event.job.source, event.job.target):
            error = error.replace(str(path), str(self._files.shown(path)))
        job = replace(event.job, source=self._files.shown(event.job.source))
        self._report.event(replace(event, job=job, target=self._files.shown(event.target), error=error))

    def finish(self, tally: Tally) -> None:
        """Pass on the summary."""
        self._report.finish(tally)


def _read_input(folder: Path) -> Path:
    from diffir.image_io import IMAGE_SUFFIXES
    from diffir.image_io.formats import format_of, kind_of

    content = sys.stdin.buffer.read()
    kind = kind_of(content, "")
    if not kind:
        raise ImageError(f"{_INPUT}: " + ("not an image in a format that can be read" if content else "it is empty"))
    suffix = next(suffix for suffix in IMAGE_SUFFIXES if (row := format_of(suffix)) is not None and row.name == kind)
    source = folder / f"input{suffix}"
    source.write_bytes(content)
    return source


def _write_output(path: Path) -> None:
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader has gone, as with | head
        return
    except OSError as error:
        raise DiffIRError(f"{_OUTPUT}: cannot be written ({error.strerror})") from error
