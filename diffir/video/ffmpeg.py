"""ffmpeg and ffprobe: where they are, how they are run, what is said when they fail.

They neither read the keyboard nor hang: messages go to a file, pipes end with this process, an error kills them. They
stand in a session of their own, so that Ctrl-C reaches this process alone, which then ends them in order.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from diffir.errors import DiffIRError

_OLDEST = (5, 1)  # the first with -fps_mode; 4.2 was seen to lose the last frames of a clip of variable rate
_WHERE = "apt-get install ffmpeg (Debian, Ubuntu), brew install ffmpeg (Mac), winget install ffmpeg (Windows)"
_QUIET = ("-hide_banner", "-v", "error")
# Lines that follow the one with the cause.
_WITHOUT_CAUSE = (
    "Conversion failed!",
    "Could not write header",
    "Error initializing output stream",
    "Error opening output file",
    "Error sending frames to consumers",
    "Nothing was written into output file",
    "Task finished with error code",
    "Terminating thread with return code",
)


def require_programs() -> None:
    """Ask for both programs before any work.

    Raises:
        DiffIRError: one is missing or too old; the message says how to get it.
    """
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing:
        raise DiffIRError(
            f"video needs the programs ffmpeg and ffprobe; not found: {', '.join(missing)}. Get: {_WHERE}"
        )
    found = re.match(r"ffmpeg version n?(\d+)\.(\d+)", run("ffmpeg", ["-version"], "asked for its version"))
    if found and (int(found[1]), int(found[2])) < _OLDEST:  # builds of a day carry no number, and are new
        raise DiffIRError(f"video needs ffmpeg 5.1 or newer, this is {found[1]}.{found[2]}. Get: {_WHERE}")


def file_url(path: Path) -> str:
    """The path as ffmpeg takes any name: with colons, percent signs or a dash at the front."""
    return f"file:{path}"


def run(program: str, arguments: Sequence[str], subject: str) -> str:
    """What the program prints; ``subject`` opens the message of an error."""
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False
    )
    if done.returncode:
        raise DiffIRError(f"{subject}: {_cause(program, done.stderr, done.returncode)}")
    return done.stdout.decode("utf-8", "replace")


@contextmanager
def ffmpeg_pipe(arguments: Sequence[str], end: Literal["stdin", "stdout"], subject: str) -> Iterator[IO[bytes]]:
    """ffmpeg at work, and our end of a pipe to its stdin or from its stdout; waits for it at the end of the block.

    Raises:
        DiffIRError: ffmpeg failed; its last line is in the message. An error of the block itself ends ffmpeg.
    """
    stdin, stdout = (subprocess.PIPE if end == name else subprocess.DEVNULL for name in ("stdin", "stdout"))
    command = ["ffmpeg", *_QUIET, "-nostdin", *arguments]
    # A file for the messages: a pipe nobody drains stops ffmpeg when it is full.
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=messages, start_new_session=True)
        pipe = process.stdin if end == "stdin" else process.stdout
        assert pipe is not None
        try:
            with suppress(BrokenPipeError):  # ffmpeg has ended: its exit code says whether that is an error
                yield pipe
            with suppress(BrokenPipeError):
                pipe.close()
            code = process.wait()
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                pipe.close()
            process.wait()
        if code:
            messages.seek(0)
            raise DiffIRError(f"{subject}: {_cause('ffmpeg', messages.read(), code)}")


def _cause(program: str, messages: bytes, code: int) -> str:
    """The last line that names a cause, without the address ffmpeg puts before it."""
    lines = [re.sub(r"^(\[[^]]*\] )+", "", line.strip()) for line in messages.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith(_WITHOUT_CAUSE)]
    return f"{program} says: {lines[-1]}" if lines else f"{program} ended with code {code} and no message"
