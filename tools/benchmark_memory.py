"""The peak memory of one contender, in a process of its own: what it takes above the start, in 10^6 bytes.

The start is python, torch and a contender of the same kind that has run once on a toy, so that code is loaded. Weights,
copies of them, maps and results are what is counted; the photo itself is not. Called by ``tools/benchmark.py``.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from benchmark_contenders import built
from benchmark_plan import Cell, Plan
from benchmark_reference import Choice, some_photo

from diffir.allocator import keep_freed_memory
from diffir.evaluation.peak_memory import PeakMemory

_TOY, _TOY_SIDE = Choice("denoise_tiny"), 32


def peak_megabytes(plan: Plan, contender: str, cell: Cell) -> float | None:
    """By a child process; None where the system does not say, or the process was ended, as for want of memory."""
    job = json.dumps([plan.choice.task, plan.choice.weights, contender, plan.device, plan.learns, plan.is_tuned])
    sides = (str(number) for number in (cell.batch, cell.height, cell.width, cell.threads))
    command = [sys.executable, str(Path(__file__).resolve()), job, *sides]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(child.stdout) if child.returncode == 0 else None


def measured_here(choice: Choice, contender: str, cell: Cell, device: str, *, learns: bool) -> float | None:
    """In this process, which should be a fresh one."""
    torch.set_num_threads(cell.threads)
    lq = some_photo(cell.batch, cell.height, cell.width, device)
    built(contender, _TOY.open(), device, learns=learns)(some_photo(1, _TOY_SIDE, _TOY_SIDE, device))
    meter = PeakMemory(device)
    start = _present(meter)
    run = built(contender, choice.open(), device, learns=learns)
    _present(meter)  # forget what building it took
    run(lq)
    peak = meter.megabytes()
    return None if peak is None or start is None else peak - start


def _present(meter: PeakMemory) -> float | None:
    meter.give_back()
    meter.reset()
    return meter.megabytes()


if __name__ == "__main__":
    task, weights, name, device, learns, is_tuned = json.loads(sys.argv[1])
    if is_tuned:
        keep_freed_memory(of_any_size=True)
    cell = Cell(*(int(number) for number in sys.argv[2:]))
    print(json.dumps(measured_here(Choice(task, weights), name, cell, device, learns=learns)))
