"""Read a pickle as plain values without importing or calling anything that it names.

In: the bytes of a pickle. Out: the numbers, texts, lists, tuples and dicts in it. Calls of functions go to a table of
the caller; the results of all others are ``ForeignObject``, or a dict if the class is one. Python's own unpickler would
call what the file names, and even a restricted one can be asked for any amount of memory (``bytearray(2**41)``). Here
memory is bounded by the file. The opcodes are split by ``pickletools`` (PEP 307, PEP 3154).
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

# A file of weights has thirty opcodes a tensor; a Lightning file with its optimiser has some hundred thousand.
MOST_OPCODES = 2_000_000
# A pickle that calls these was made to harm whoever loads it, so the whole file is refused.
_NEVER_IN_WEIGHTS = ("os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "pty", "runpy")
_SIMPLE_KEYS = (str, int, float, bool, bytes, type(None))  # hashing nested tuples can take for ever


class Readable(Protocol):
    """A binary stream, such as a file mapped into memory."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self) -> bytes: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class Name:
    """The full name of a class or function that a pickle refers to; nothing is imported."""

    module: str
    last: str

    def __str__(self) -> str:
        return f"{self.module}.{self.last}"


class ForeignObject:
    """Stands for an object of a class that is not needed; it has no state."""


def read_pickle(
    stream: Readable,
    calls: Mapping[str, Callable[..., object]],
    persistent: Callable[[object], object],
) -> object:
    """Read the pickle at the stream's position, and leave the stream behind it.

    Args:
        calls: functions of the caller by the full name that pickles call; they are given the pickle's arguments.
        persistent: called with each persistent id, which stands for an object outside of the pickle.

    Raises:
        Exception: the pickle is damaged, too long, or names what no file of weights needs. The type depends on the
            damage, so callers catch all, as with a decoder of images.
    """
    machine = _Machine(calls, persistent)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
        if number == MOST_OPCODES:
            raise ValueError(f"more than {MOST_OPCODES:,} steps")
        machine.step(opcode.name, argument)
    return machine.stack.pop()


class _Machine:
    """The stack machine that a pickle is a program for."""

    def __init__(self, calls: Mapping[str, Callable[..., object]], persistent: Callable[[object], object]) -> None:
        self.calls = calls
        self.persistent = persistent
        self.stack: list[object] = []
        self.below_marks: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def step(self, name: str, argument: object) -> None:
        """Execute one opcode."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self.stack.append(argument)
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"the opcode {name}")

    def since_mark(self) -> list[object]:
        """Take all values above the last mark from the stack."""
        values, self.stack = self.stack, self.below_marks.pop()
        return values

    def pop(self, count: int) -> list[object]:
        """Take the last values from the stack."""
        if count > len(self.stack):
            raise ValueError("a value is missing")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def remember(self, argument: object) -> None:
        key = argument if isinstance(argument, int) else len(self.memo)
        self.memo[key] = self.stack[-1]

    def recall(self, argument: object) -> None:
        self.stack.append(self.memo[int(str(argument))])

    def name(self, module: object, last: object) -> None:
        """Push the name of a class or function."""
        if str(module).partition(".")[0] in _NEVER_IN_WEIGHTS:
            raise ValueError(f"it would call {module}.{last}, which no weights need")
        self.stack.append(Name(str(module), str(last)))

    def call(self, function: object, arguments: object) -> None:
        """Push what the caller's function returns, or a stand-in for the result of a foreign one."""
        given = arguments if isinstance(arguments, tuple) else ()
        if str(function) in self.calls:
            self.stack.append(self.calls[str(function)](*given))
        elif isinstance(function, Name) and function.last == "__newobj__" and given:
            self.call(given[0], given[1:])
        elif isinstance(function, Name) and function.last.lower().endswith("dict"):
            self.stack.append(_as_dict(given))
        else:
            self.stack.append(ForeignObject())

    def fill(self, values: list[object], *, in_pairs: bool) -> None:
        """Add values to the list, or pairs of key and value to the dict, that is on the stack."""
        target = self.stack[-1]
        if in_pairs and isinstance(target, dict):
            target.update(_entries(zip(values[::2], values[1::2], strict=True)))
        elif not in_pairs and isinstance(target, list):
            target += values


def _entries(pairs: object) -> dict[object, object]:
    return {key: value for key, value in pairs if isinstance(key, _SIMPLE_KEYS)}  # type: ignore[attr-defined]


def _as_dict(arguments: tuple[object, ...]) -> dict[object, object]:
    """Return the dict that a class derived from dict would make of these arguments."""
    last = arguments[-1] if arguments else None
    if isinstance(last, dict):
        return dict(last)
    is_pairs = isinstance(last, list) and all(isinstance(item, list | tuple) and len(item) == 2 for item in last)
    return _entries(last) if is_pairs else {}  # Python 2 wrote an OrderedDict as a list of pairs


def _mark(machine: _Machine, _: object) -> None:
    machine.below_marks.append(machine.stack)
    machine.stack = []


def _object(machine: _Machine, _: object) -> None:
    function, *arguments = machine.since_mark()
    machine.call(function, tuple(arguments))


def _instance(machine: _Machine, argument: object) -> None:
    arguments = machine.since_mark()
    machine.name(*str(argument).split(" ", 1))
    machine.call(machine.stack.pop(), tuple(arguments))


# Opcodes that push the same value every time, and those that push their argument.
_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_Step = Callable[[_Machine, object], object]
_STEPS: dict[str, _Step] = {
    # The stack and the memo.
    "MARK": _mark,
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.since_mark(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    # Lists, tuples, dicts; sets hold nothing that is needed.
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_SET": lambda machine, _: machine.stack.append(ForeignObject()),
    "LIST": lambda machine, _: _push(machine, machine.since_mark()),
    "TUPLE": lambda machine, _: _push(machine, tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: _push(machine, tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: _push(machine, tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: _push(machine, tuple(machine.pop(3))),
    "FROZENSET": lambda machine, _: _push(machine, machine.since_mark() and ForeignObject()),
    "DICT": lambda machine, _: _push(machine, {}, machine.since_mark()),
    "APPEND": lambda machine, _: machine.fill(machine.pop(1), in_pairs=False),
    "APPENDS": lambda machine, _: machine.fill(machine.since_mark(), in_pairs=False),
    "SETITEM": lambda machine, _: machine.fill(machine.pop(2), in_pairs=True),
    "SETITEMS": lambda machine, _: machine.fill(machine.since_mark(), in_pairs=True),
    "ADDITEMS": lambda machine, _: machine.since_mark(),
    # Classes, functions and objects.
    "GLOBAL": lambda machine, argument: machine.name(*str(argument).split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.pop(2)),
    "REDUCE": lambda machine, _: machine.call(*machine.pop(2)),
    "NEWOBJ": lambda machine, _: machine.call(*machine.pop(2)),
    "NEWOBJ_EX": lambda machine, _: machine.call(*machine.pop(3)[:2]),
    "OBJ": _object,
    "INST": _instance,
    "BUILD": lambda machine, _: machine.pop(1),  # the state of an object
    "BINPERSID": lambda machine, _: _push(machine, machine.persistent(machine.pop(1)[0])),
}


def _push(machine: _Machine, value: object, pairs: list[object] | None = None) -> None:
    machine.stack.append(value)
    if pairs is not None:
        machine.fill(pairs, in_pairs=True)
