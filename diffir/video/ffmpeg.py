"""Run the programs ffmpeg and ffprobe, and report why they failed.

They do not read the keyboard and cannot hang: their messages go to a file, their pipes end with this process, and an
error kills them. They run in a session of their own, so that Ctrl-C reaches only this process, which then ends them.
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

_OLDEST = (5, 1)  # the first version with -fps_mode; 4.2 lost the last frames of a test clip with a variable frame rate
_WHERE = "apt-get install ffmpeg (Debian, Ubuntu), brew install ffmpeg (Mac), winget install ffmpeg (Windows)"
_QUIET = ("-hide_banner", "-v", "error")
# Lines that ffmpeg prints after the line with the cause.
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
    """Check that both programs are installed, before any work starts.

    Raises:
        DiffIRError: a program is missing or too old; the message says how to install it.
    """
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing:
        raise DiffIRError(
            f"video needs the programs ffmpeg and ffprobe; not found: {', '.join(missing)}. Get: {_WHERE}"
        )
    found = re.match(r"ffmpeg version n?(\d+)\.(\d+)", run("ffmpeg", ["-version"], "the version check"))
    if found and (int(found[1]), int(found[2])) < _OLDEST:  # nightly builds have no version number and are recent
        raise DiffIRError(f"video needs ffmpeg 5.1 or newer, this is {found[1]}.{found[2]}. Get: {_WHERE}")


def file_url(path: Path) -> str:
    """The path in a form in which ffmpeg accepts any name, with colons, percent signs or a leading dash."""
    return f"file:{path}"


def run(program: str, arguments: Sequence[str], subject: str) -> str:
    """Run a program and return what it prints.

    Args:
        subject: the file or action that an error message begins with.

    Raises:
        DiffIRError: the program failed; its reason is in the message.
    """
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False
    )
    if done.returncode:
        raise DiffIRError(f"{subject}: {_cause(program, done.stderr, done.returncode)}")
    return done.stdout.decode("utf-8", "replace")


@contextmanager
def ffmpeg_pipe(arguments: Sequence[str], end: Literal["stdin", "stdout"], subject: str) -> Iterator[IO[bytes]]:
    """Start ffmpeg and give a pipe to its stdin or from its stdout; the end of the block waits for ffmpeg.

    Args:
        end: the stream of ffmpeg that the pipe is connected to.
        subject: the file that an error message begins with.

    Raises:
        DiffIRError: ffmpeg failed; its reason is in the message. An error raised in the block kills ffmpeg.
    """
    stdin, stdout = (subprocess.PIPE if end == name else subprocess.DEVNULL for name in ("stdin", "stdout"))
    command = ["ffmpeg", *_QUIET, "-nostdin", *arguments]
    # Messages go to a file: a pipe that is not read would block ffmpeg when it is full.
    with tempfile.TemporaryFile() as messages:
        # Start ffmpeg, let the block use the pipe, and wait for the end.
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=messages, start_new_session=True)
        pipe = process.stdin if end == "stdin" else process.stdout
        assert pipe is not None
        try:
            with suppress(BrokenPipeError):  # ffmpeg has ended; its exit code tells whether that is an error
                yield pipe
            with suppress(BrokenPipeError):
                pipe.close()
            code = process.wait()
        finally:
            # After an error in the block ffmpeg is still running; otherwise this has no effect.
            process.kill()
            with suppress(BrokenPipeError):
                pipe.close()
            process.wait()
        if code:
            messages.seek(0)
            raise DiffIRError(f"{subject}: {_cause('ffmpeg', messages.read(), code)}")


def _cause(program: str, messages: bytes, code: int) -> str:
    """The last line that names a cause, without the object address that ffmpeg puts before it."""
    lines = [re.sub(r"^(\[[^]]*\] )+", "", line.strip()) for line in messages.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith(_WITHOUT_CAUSE)]
    return f"{program} says: {lines[-1]}" if lines else f"{program} ended with code {code} and no message"
