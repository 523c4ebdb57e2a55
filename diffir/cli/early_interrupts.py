"""Handle Ctrl-C while modules are imported and while the process ends: exit code 130 and no traceback.

An import that is interrupted by an exception may swallow it, turn it into another one, or print it as "Exception
ignored". Therefore the process ends at once if the signal arrives within an import, where nothing can be half done.
Elsewhere the signal raises ``KeyboardInterrupt``, as it does in every Python program. This module imports little, so
that it takes effect early.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

EXIT_INTERRUPTED = 130  # 128 + SIGINT, the convention of shells
INTERRUPTED = "interrupted"
_STDERR = 2


@contextmanager
def quiet_interrupts(*, ends_process: bool) -> Iterator[None]:
    """Handle Ctrl-C within the block; a handler that somebody else has set, or "ignore", stays.

    Args:
        ends_process: the process ends after the block. Otherwise the previous handler is put back.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    try:
        signal.signal(signal.SIGINT, _interrupt)
    except ValueError:  # only the main thread may set handlers
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _exit_at_once if ends_process else signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    within = frame
    while within is not None:
        if within.f_code.co_filename.startswith("<frozen importlib"):
            _exit_at_once(number, frame)
        within = within.f_back
    raise KeyboardInterrupt


def _exit_at_once(_number: int, _frame: FrameType | None) -> None:
    """End the process without a word from exit handlers and other threads."""
    with suppress(OSError):  # stderr may be closed
        os.write(_STDERR, f"diffir: {INTERRUPTED}\n".encode())
    os._exit(EXIT_INTERRUPTED)
