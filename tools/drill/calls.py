"""Call ``diffir``: quickly in a process that stays, or in a process of its own that can be killed.

In: words of the command line and a folder. Out: an ``Answer``. A call hangs if it has used too many seconds of the CPU,
or far too many of the clock: on a busy machine the clock alone would accuse the innocent.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.drill.outcome import Answer

ROOT = Path(__file__).resolve().parents[2]
CPU_SECONDS, CLOCK_SECONDS = 90, 900
# As the program ``diffir``. Ctrl-C works from the moment on when Python has started and its first module is there, even
# if the drill runs in the background of a shell without job control.
_PROGRAM = """
import signal, sys
from diffir.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
_TICKS = os.sysconf("SC_CLK_TCK")


def environment() -> dict[str, str]:
    """The environment of all processes: this checkout and one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


class Caller:
    """Runs calls in one worker process, which is replaced after a hang, a crash, or much use of memory."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def call(self, words: Sequence[str], folder: Path) -> Answer:
        """Run one call in a folder and wait for its end."""
        if self._process is None:
            self._process = self._started()
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"words": list(words), "folder": str(folder)}) + "\n")
        process.stdin.flush()
        if not _wait(process, process.stdout.fileno()):
            self.close()
            return Answer(None, f"diffir {' '.join(words)}"[:200])
        line = process.stdout.readline()
        if not line:  # the process has ended
            code = process.wait()
            self._process = None
            return Answer(code, f"the process ended: diffir {' '.join(words)}"[:200])
        answer = Answer(**json.loads(line))
        if answer.is_full:
            self.close()
        return answer

    def close(self) -> None:
        """End the worker process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _started(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tools.drill.worker"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def start(words: Sequence[str], folder: Path, *, shell: str = "") -> "subprocess.Popen[bytes]":
    """Start a call in a process of its own; ``shell`` is appended to the command, such as ``2>&-`` or ``| head -1``.

    Output goes to the file ``drill_output`` of the folder.
    """
    call = [sys.executable, "-c", _PROGRAM, *words]
    if shell:
        call = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *call]
    with (folder / "drill_output").open("ab") as output:
        return subprocess.Popen(
            call,
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_ignore_interrupts,
        )


def finish(process: "subprocess.Popen[bytes]", folder: Path) -> Answer:
    """Wait for the end of a process of its own, and take its output."""
    ended = _wait(process, None)
    if not ended:
        process.kill()
    code = process.wait()
    output = (folder / "drill_output").read_text("utf-8", "replace")
    (folder / "drill_output").unlink()
    return Answer(code if ended else None, output)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _wait(process: "subprocess.Popen", descriptor: int | None) -> bool:
    """Wait until a process ends or writes to a descriptor; False if it takes too long."""
    begun, used = time.monotonic(), _cpu_seconds(process.pid)
    while time.monotonic() - begun < CLOCK_SECONDS and _cpu_seconds(process.pid) - used < CPU_SECONDS:
        if descriptor is not None and select.select([descriptor], [], [], 0.5)[0]:
            return True
        if descriptor is None:
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
            return True
    return False


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:  # the process has ended, or this system has no such files
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
