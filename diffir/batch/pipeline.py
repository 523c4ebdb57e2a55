"""A pipeline of three stages (read, work, write) that run at the same time in threads, with few items in memory.

In: an iterable to read from, one function per worker thread, and a function that writes. Out: the messages that the
stages post, received in the caller's thread. After a stop, stages keep draining their queue so that no producer
blocks. An exception in any thread ends the run and is raised to the caller.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

_POLL = 0.2  # seconds between checks for signals, which Windows delivers only to a thread that is awake
_WAITING = 1  # items in the queue between two stages; each stage holds one more while it works

ReadT = TypeVar("ReadT")
WorkedT = TypeVar("WorkedT")
MessageT = TypeVar("MessageT")


class _End:
    """Marker in a queue: the producer has sent its last item."""


_END = _End()


class AbandonedError(Exception):
    """The caller has left the pipeline, so the result is no longer needed."""


class Pipeline(Generic[ReadT, WorkedT, MessageT]):
    """Three stages that run at the same time and report to the caller through messages."""

    def __init__(self, is_stopped: Callable[[], bool]) -> None:
        """
        Args:
            is_stopped: if it returns True, no further item is started; items that a worker has started are finished
                and written.
        """
        self._is_stopped = is_stopped
        self._is_abandoned = threading.Event()
        self._crash: BaseException | None = None
        self._messages: queue.SimpleQueue[MessageT | _End] = queue.SimpleQueue()
        self._read_items: queue.Queue[ReadT | _End] = queue.Queue(_WAITING)
        self._worked_items: queue.Queue[WorkedT | _End] = queue.Queue(_WAITING)

    @contextmanager
    def run(
        self,
        read: Iterable[ReadT],
        works: Sequence[Callable[[ReadT], Iterable[WorkedT]]],
        write: Callable[[WorkedT], None],
    ) -> Iterator[Iterator[MessageT]]:
        """Start the stages and give the messages; leaving the block ends the stages and waits for their current items.

        Args:
            read: the items to work on; it is iterated in the reading thread.
            works: one function per worker thread. All stages may ``post`` messages; long work should call ``check``
                now and then.
            write: receives every result in one thread.
        """
        threads = [
            self._thread(self._read_all, read, len(works)),
            *(self._thread(self._work_all, work) for work in works),
            self._thread(self._write_all, write, len(works)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield self._receive()
        finally:
            self._is_abandoned.set()
            for thread in threads:
                thread.join()

    def post(self, message: MessageT) -> None:
        """Send a message to the caller, from any thread."""
        self._messages.put(message)

    def check(self) -> None:
        """Interrupt long work whose result is no longer needed.

        Raises:
            AbandonedError: the caller has left the block of ``run``.
        """
        if self._is_abandoned.is_set():
            raise AbandonedError

    def _receive(self) -> Iterator[MessageT]:
        """Messages until all stages have ended; then the exception of a stage is raised, if there was one."""
        while True:
            try:
                message = self._messages.get(timeout=_POLL)
            except queue.Empty:
                continue
            if isinstance(message, _End):
                break
            yield message
        if self._crash is not None:
            raise self._crash

    def _thread(self, run: Callable[..., None], *arguments: object) -> threading.Thread:
        return threading.Thread(target=run, args=arguments, daemon=True, name=f"diffir{run.__name__}")

    def _read_all(self, read: Iterable[ReadT], workers: int) -> None:
        try:
            for item in read:
                if self._is_over():
                    break
                self._read_items.put(item)
        except BaseException as error:  # noqa: BLE001 - it is raised to the caller
            self._crash_with(error)
        for _ in range(workers):
            self._read_items.put(_END)

    def _work_all(self, work: Callable[[ReadT], Iterable[WorkedT]]) -> None:
        while not isinstance(item := self._read_items.get(), _End):
            if self._is_over():
                continue
            try:
                for worked in work(item):
                    self._worked_items.put(worked)
                    del worked  # the result must not stay in memory while the next one is computed
            except AbandonedError:
                pass
            except BaseException as error:  # noqa: BLE001 - it is raised to the caller
                self._crash_with(error)
            del item  # nor the input while this thread waits for the next one
        self._worked_items.put(_END)

    def _write_all(self, write: Callable[[WorkedT], None], workers: int) -> None:
        while workers:
            worked = self._worked_items.get()
            if isinstance(worked, _End):
                workers -= 1
                continue
            # A requested stop still writes what was restored; only an abandoned or crashed run drops it.
            if self._is_abandoned.is_set() or self._crash is not None:
                continue
            try:
                write(worked)
            except BaseException as error:  # noqa: BLE001 - it is raised to the caller
                self._crash_with(error)
            del worked
        self._messages.put(_END)

    def _is_over(self) -> bool:
        return self._is_stopped() or self._is_abandoned.is_set() or self._crash is not None

    def _crash_with(self, error: BaseException) -> None:
        self._crash = self._crash or error  # the first error is the cause; later ones may follow from it
