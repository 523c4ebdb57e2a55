"""What a case of a drill found: the kinds of faults, and the checks that every call has to pass.

In: the answer of a call and the files of its folder before and after. Out: faults, of which a good version has none.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

KINDS = {
    "traceback": "a traceback, or an error that diffir calls a fault of its own",
    "hang": "no answer within the limit of time",
    "crash": "the process was ended by a signal, or with an exit code that is not documented",
    "foreign": "a file that nobody asked for, such as a temporary one",
    "lost": "an input that was changed, or a result that is missing or incomplete",
    "differs": "a result that differs from that of an undisturbed run",
    "silent": "a failure without a line that says why",
    "raw": "a control character that reached the terminal",
    "memory": "much more memory than the input justifies",
}
MOST_MEGABYTES = 1000  # rise of the peak memory in one case; all inputs of the drills are small
EXIT_CODES = (0, 1, 2)
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|Exception ignored|a fault in diffir|_ARRAY_API")
_RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Answer:
    """The end of one call."""

    code: int | None
    """Exit code, negative after a signal; None if the call did not end in time."""
    output: str = ""
    """Everything that was written to stdout and stderr."""
    megabytes: float = 0
    """Rise of the peak memory of the process."""
    is_full: bool = False
    """True if the process has little address space left for further calls."""


@dataclass
class Outcome:
    """The result of one case."""

    refused: bool = False
    """True if the program refused the input in one line."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Kind and description of everything that is wrong."""

    def blame(self, kind: str, words: str) -> None:
        """Add a fault."""
        assert kind in KINDS
        self.faults.append((kind, words))


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder by its name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_answer(outcome: Outcome, answer: Answer, *, codes: Iterable[int] = EXIT_CODES) -> None:
    """Check the exit code and the output of a call."""
    last = next((line for line in reversed(answer.output.splitlines()) if line.strip()), "")[:200]
    if answer.code is None:
        outcome.blame("hang", last)
        return
    outcome.refused |= answer.code != 0
    if answer.code not in codes:
        outcome.blame("crash", f"exit code {answer.code}: {last}")
    if _TRACEBACK.search(answer.output):
        outcome.blame("traceback", last)
    if answer.code > 0 and not last:
        outcome.blame("silent", f"exit code {answer.code}")
    if _RAW.search(answer.output):
        outcome.blame("raw", repr(_RAW.findall(answer.output)[:3]))
    if answer.megabytes > MOST_MEGABYTES:
        outcome.blame("memory", f"{answer.megabytes:.0f} MB: {last}")


def check_files(
    outcome: Outcome, before: Mapping[str, str], folder: Path, *, results: Iterable[str], may_change: Iterable[str] = ()
) -> None:
    """Check that inputs are as they were and that nothing was left but results; both are patterns of names."""
    after = snapshot(folder)
    for name, content in before.items():
        if after.get(name) != content and not any(fnmatch(name, pattern) for pattern in may_change):
            outcome.blame("lost", f"{name} was {'changed' if name in after else 'removed'}")
    for name in after.keys() - before.keys():
        if not any(fnmatch(name, pattern) for pattern in results):
            outcome.blame("foreign", name)
