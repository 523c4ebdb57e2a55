"""The process that runs calls of ``diffir`` one after the other, so that packages are imported only once.

In: a JSON object a line on stdin, with the words of a call and its folder. Out: a JSON object a line on stdout, with
exit code, output, the rise of the peak memory, and whether this process should be replaced. What a call prints is
captured at the file descriptors, so the words of C libraries are seen as well.
"""

import json
import os
import resource
import sys
import tempfile
import traceback
from pathlib import Path
from typing import IO

import torch

from diffir.cli.main import main
from diffir.cli.terminal import complain
from diffir.errors import DiffIRError, UsageError

_LONGEST = 100_000  # characters of output that are kept
_ADDRESS_SPACE = 8 << 30  # bytes, of which torch takes half; a damaged file must not take the memory of the machine


def report(words: list[str]) -> int:
    """Make the page of a JSON document, as a program that uses the library would; words are the two names."""
    from diffir.evaluation.document import read_document
    from diffir.report import write_report

    try:
        write_report(Path(words[1]), read_document(Path(words[0])), [])
    except DiffIRError as error:
        complain(error)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def serve() -> None:
    """Answer calls until stdin ends."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    for line in requests:
        request = json.loads(line)
        os.chdir(request["folder"])
        with tempfile.TemporaryFile() as captured:
            answer = _answer(request["words"], captured)
        print(json.dumps(answer), file=replies, flush=True)


def _answer(words: list[str], captured: IO[bytes]) -> dict[str, object]:
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(captured.fileno(), descriptor)
        setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    before = _peak_megabytes()
    try:
        code = report(words[1:]) if words[0] == "report" else main(words)
    except SystemExit as end:  # argparse ends in this way
        code = end.code
    except BaseException:  # noqa: BLE001 - whatever escapes is what the drill looks for
        code = 1
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    captured.seek(0)
    output = captured.read(_LONGEST).decode("utf-8", "replace")
    return {"code": code, "output": output, "megabytes": _peak_megabytes() - before, "is_full": _is_full()}


def _is_full() -> bool:
    """Return True if half of the address space is in use; freed memory stays in use (``diffir.allocator``)."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    return pages * resource.getpagesize() > _ADDRESS_SPACE / 2


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    serve()
