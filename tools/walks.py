"""Count how much code of diffir a walk touches: ``python -m tools.walks``.

A walk is something that a user does: restore a photo, restore from Python, evaluate two methods, train both stages.
Counted are the files of ``diffir/`` in which a function runs, the lines of these files, and the functions (with
lambdas and comprehensions) that run, while modules are imported, too. Every walk has a process and a cache of its own.
docs/architecture.md has the figures.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "diffir"
_OF_A_FUNCTION = 0x2  # inspect.CO_NEWLOCALS, which bodies of modules and classes lack
_SHORT = ["train.total_iter=4", "stage2.total_iter=4", "stage2.encoder_iter=2", "path.experiments_root=OUT"]


def _restore_from_python() -> None:
    import numpy as np

    import diffir

    diffir.load("denoise", device="cpu").restore(np.zeros((64, 64, 3), np.uint8))


def _command(*words: str) -> Callable[[], None]:
    def run() -> None:
        from diffir.cli.main import main

        if main([word.replace("OUT", os.environ["WALK_OUT"]) for word in words]) != 0:
            raise SystemExit(f"diffir {' '.join(words)} failed")

    return run


WALKS = {
    "restore one PNG from the command line": _command(
        "restore", "datasets/samples/noisy/lighthouse.png", "-n", "denoise", "-o", "OUT/a.png", "--device", "cpu"
    ),
    "`load` and `Restorer.restore` from Python": _restore_from_python,
    "`eval` of two methods": _command(
        "eval", "-n", "denoise,nlm", "-d", "datasets/samples/clean", "--sigma", "25", "--device", "cpu"
    ),
    "`train`, both stages of the toy": _command("train", "-opt", "options/debug/tiny.yml", *_SHORT),
}


def count(walk: Callable[[], None]) -> tuple[int, int, int]:
    """Return the files, the lines of these files, and the code objects that a walk touches in this process."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & _OF_A_FUNCTION and code.co_filename.startswith(f"{PACKAGE}/"):
            seen.add(code)

    threading.setprofile(note)
    sys.setprofile(note)
    walk()
    sys.setprofile(None)
    files = {code.co_filename for code in seen}
    return len(files), sum(len(Path(file).read_text("utf-8").splitlines()) for file in files), len(seen)


def main() -> None:
    """Print a row of the table for each walk."""
    for name in WALKS:
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"WALK_OUT": folder, "DIFFIR_CACHE": f"{folder}/cache"}
            command = [sys.executable, "-m", "tools.walks", name]
            done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        files, lines, codes = done.stdout.split()[-3:]
        print(f"| {name} | {files} files, {int(lines):,} lines, {codes} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(*count(WALKS[sys.argv[1]]))
