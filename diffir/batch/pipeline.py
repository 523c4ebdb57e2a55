"""Reading, working and writing at the same time, a thread each, with little in memory at once.

In: an iterator to read from, functions that work (one thread each) and one that writes. Out: the messages they post,
in the caller's thread. Every stage takes all that comes until the end, and drops it once the run is over: so no thread
ever waits for one that is gone. An exception in a thread ends the run and is raised to the caller.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Generic, TypeVar

_POLL = 0.2  # seconds between looks at signals, which Windows delivers only to a thread that is awake
_WAITING = 1  # items between two stages; each holds one more in its hands

Read = TypeVar("Read")
Worked = TypeVar("Worked")
Message = TypeVar("Message")


class _End:
    """No more will come."""


_END = _End()


class AbandonedError(Exception):
    """Nobody waits for the result any more."""


class Overlap(Generic[Read, Worked, Message]):
    """Three stages at work; leaving the ``with`` block ends them and waits for what they have in hand."""

    def __init__(
        self,
        read: Iterable[Read],
        works: Sequence[Callable[[Read], Iterable[Worked]]],
        write: Callable[[Worked], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        """
        Args:
            read, works, write: may ``post`` messages and should ``check`` now and then.
            is_stopped: whether no more shall be begun; what a worker has in hand is finished and written.
        """
        self._read, self._works, self._write = read, works, write
        self._messages: queue.SimpleQueue[Message | _End] = queue.SimpleQueue()
        self._is_stopped = is_stopped
        self._is_abandoned = threading.Event()
        self._crash: BaseException | None = None
        self._read_items: queue.Queue[Read | _End] = queue.Queue(_WAITING)
        self._worked_items: queue.Queue[Worked | _End] = queue.Queue(_WAITING)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Overlap[Read, Worked, Message]":
        workers = [self._thread(self._work_all, work) for work in self._works]
        self._threads = [self._thread(self._read_all), *workers, self._thread(self._write_all)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_abandoned.set()
        for thread in self._threads:
            thread.join()

    def __iter__(self) -> Iterator[Message]:
        """Messages until all stages have ended."""
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

    def post(self, message: Message) -> None:
        """Tell the caller; from any thread."""
        self._messages.put(message)

    def check(self) -> None:
        """To be called now and then by long work.

        Raises:
            AbandonedError: the caller has gone.
        """
        if self._is_abandoned.is_set():
            raise AbandonedError

    def _thread(self, run: Callable[..., None], *arguments: object) -> threading.Thread:
        return threading.Thread(target=run, args=arguments, daemon=True, name=f"diffir{run.__name__}")

    def _read_all(self) -> None:
        try:
            for item in self._read:
                if self._is_over():
                    break
                self._read_items.put(item)
        except BaseException as error:  # noqa: BLE001 - it is raised to the caller
            self._crash_with(error)
        for _ in self._works:
            self._read_items.put(_END)

    def _work_all(self, work: Callable[[Read], Iterable[Worked]]) -> None:
        while not isinstance(item := self._read_items.get(), _End):
            if self._is_over():
                continue
            try:
                for worked in work(item):
                    self._worked_items.put(worked)
                    del worked  # nor a result while the next is worked on
            except AbandonedError:
                pass
            except BaseException as error:  # noqa: BLE001 - it is raised to the caller
                self._crash_with(error)
            del item  # not to be held while waiting for the next
        self._worked_items.put(_END)

    def _write_all(self) -> None:
        working = len(self._works)
        while working:
            worked = self._worked_items.get()
            if isinstance(worked, _End):
                working -= 1
                continue
            if self._is_abandoned.is_set() or self._crash is not None:
                continue
            try:
                self._write(worked)
            except BaseException as error:  # noqa: BLE001 - it is raised to the caller
                self._crash_with(error)
            del worked
        self._messages.put(_END)

    def _is_over(self) -> bool:
        return self._is_stopped() or self._is_abandoned.is_set() or self._crash is not None

    def _crash_with(self, error: BaseException) -> None:
        self._crash = self._crash or error
