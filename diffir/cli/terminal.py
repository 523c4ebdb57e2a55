"""The terminal: every line that a command prints passes through this module, and so do its progress bars.

Control characters are printed escaped, so that a file name can neither move the cursor nor begin a line of its own.
Each line is flushed. Nobody has to read the output: streams that were closed before the start lead to the null device,
as for a daemon, and so does a pipe after its reader has gone.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import textwrap
import traceback
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from diffir.errors import DiffIRError

if TYPE_CHECKING:
    from tqdm import tqdm

STREAMS = ("stdin", "stdout", "stderr")  # in the order of their file descriptors
# Besides control characters: line separators, undecodable bytes, and characters that turn the direction of the text.
_ESCAPED_CATEGORIES = ("Cc", "Zl", "Zp", "Cs")
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Escape what a terminal would obey instead of show; a byte that is no UTF-8 is shown as ``\\xe9``."""
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # Python's stand-in for a byte of a file name that cannot be decoded
        return f"\\x{ord(character) - 0xDC00:02x}"
    if unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _DIRECTIONS:
        return character.encode("unicode_escape").decode()
    return character


def say(line: str, stream: TextIO | None = None, *, must_arrive: bool = True) -> None:
    """Print one line to stdout, or to another stream.

    Args:
        must_arrive: raise an error if the line cannot be written, for example because the disk is full. Without it,
            and always after the reader of a pipe has gone, this line and all further ones are discarded.
    Raises:
        DiffIRError: the line cannot be written.
    """
    stream = sys.stdout if stream is None else stream
    try:
        print(printable(line), file=stream, flush=True)
    except OSError as error:
        _discard(stream)
        if must_arrive and not isinstance(error, BrokenPipeError):
            raise DiffIRError(f"the output cannot be written: {error.strerror}") from error


def say_lines(lines: Sequence[str]) -> None:
    """Print several lines to stdout, such as a table."""
    for line in lines:
        say(line)


def say_paragraph(text: str) -> None:
    """Print a paragraph to stdout; on a terminal it is wrapped at its width."""
    text = printable(text)
    if not sys.stdout.isatty():
        say(text)
        return
    width = shutil.get_terminal_size().columns
    say_lines(textwrap.wrap(text, width, subsequent_indent="  ") or [""])


def complain(message: object) -> None:
    """Print an error in one line to stderr, behind the name of the program."""
    say(f"diffir: {message}", sys.stderr, must_arrive=False)


def progress_bar(title: str | None, total: int, **layout: Any) -> tqdm:
    """Make a progress bar on stderr, which is shown on terminals only and removed at its end.

    Args:
        title: text in front of the bar.
        layout: further arguments of ``tqdm``.
    """
    from tqdm import tqdm  # commands without a bar need not wait for it

    return tqdm(desc=title and printable(title), total=total, **{"leave": False, "disable": None, **layout})


def open_streams() -> None:
    """Prepare stdin, stdout and stderr; call this before any file is opened.

    A closed stream gets the null device. Otherwise the next file that is opened would take its descriptor, and what a
    library writes to "stderr" would end in that file.
    """
    for descriptor, name in enumerate(STREAMS):
        stream = getattr(sys, name)
        if stream is None:
            _lead_nowhere(descriptor)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="replace")  # an arrow in a table must not end a run on an ASCII terminal


def log_to_stderr() -> None:
    """Print the log lines of the package as other lines are printed, unless the caller has set up a log."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_Handler()])


def flush_streams() -> None:
    """Write what others have printed, such as the help, so that a closed pipe is no error when the process ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _discard(stream)


class _Handler(logging.Handler):
    """Prints log records as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), sys.stderr, must_arrive=False)
        for lines in traceback.format_exception(*record.exc_info) if record.exc_info else ():
            for line in lines.splitlines():
                say(line, sys.stderr, must_arrive=False)


def _discard(stream: TextIO) -> None:
    """Discard what a stream holds in its buffer and everything that is printed to it from now on."""
    with suppress(OSError, ValueError):  # a stream without a descriptor, as tests have, keeps its content
        _lead_nowhere(stream.fileno())


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
