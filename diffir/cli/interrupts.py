"""Ctrl-C, and SIGTERM alike: the first lets the file in hand be finished, the second ends the process at once.

No file is half written either way: the second waits for the one that is being written, which takes moments, unlike one
that is being restored. A third does not even wait.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from diffir.batch.events import Stop

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2


@contextmanager
def stopping_on_signals(stop: Stop) -> Iterator[None]:
    """Within the block, signals request the stop; those that are ignored, as in background jobs, stay ignored."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if not stop.is_requested:
            stop.request()
            _say("diffir: stopping after the file in hand; once more to stop at once")
            return
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        stop.writing.acquire()
        _say("diffir: stopped")
        os._exit(EXIT_INTERRUPTED)  # threads in the middle of a photo would keep an ordinary exit waiting

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may have handlers
        return
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
    """Straight to the file: a stream may be in the middle of a write when the signal comes."""
    with suppress(OSError):  # nobody reads it any more
        os.write(_STDERR, f"\n{line}\n".encode())
