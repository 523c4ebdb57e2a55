"""Handle Ctrl-C and SIGTERM: the first signal finishes the current file, the second ends the process at once.

No file is half written in either case: the second signal waits for a file that is being written, which takes moments,
but not for one that is being restored. A third signal does not wait at all.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from diffir.batch.events import Stop
from diffir.cli.early_interrupts import EXIT_INTERRUPTED

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2


@contextmanager
def stopping_on_signals(stop: Stop) -> Iterator[None]:
    """Request the stop when a signal arrives within the block; ignored signals, as in background jobs, stay ignored."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if not stop.is_requested:
            stop.request()
            _say("diffir: stopping after the current file; press Ctrl-C again to stop at once")
            return
        # Second signal: restore the default handlers, wait for a file that is being written, and exit.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        stop.writing.acquire()
        _say("diffir: stopped")
        os._exit(EXIT_INTERRUPTED)  # an ordinary exit would wait for threads that are restoring a photo

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    # Install the handlers, and put the previous ones back at the end.
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    caught = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in caught:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


def _say(line: str) -> None:
    """Write to the file descriptor, since the signal may have interrupted a write of the stream."""
    with suppress(OSError):  # the reader has closed the stream
        os.write(_STDERR, f"\n{line}\n".encode())
