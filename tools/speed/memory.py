"""Peak memory of one contender, measured in a separate process, in 10^6 bytes above the start.

At the start python, torch and a contender of the same kind that ran once on a toy network are loaded. The figure counts
weights, their copies, feature maps and results, but not the photo itself. ``tools.speed`` calls it.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch

from diffir.allocator import keep_freed_memory
from diffir.evaluation.peak_memory import PeakMemory
from tools.speed.contenders import build
from tools.speed.plan import Cell, Plan
from tools.speed.reference import Choice, random_photo

_ROOT = Path(__file__).resolve().parents[2]
_TOY, _TOY_SIDE = Choice("denoise_tiny"), 32


def peak_megabytes(plan: Plan, contender: str, cell: Cell) -> float | None:
    """Measure in a child process; None if the system has no such figure or the child failed, as when memory ran out."""
    job = json.dumps([plan.choice.task, plan.choice.weights, contender, plan.device, plan.is_training, plan.is_tuned])
    sides = (str(number) for number in (cell.batch, cell.height, cell.width, cell.threads))
    command = [sys.executable, "-m", "tools.speed.memory", job, *sides]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    return json.loads(child.stdout) if child.returncode == 0 else None


def measure_here(choice: Choice, contender: str, cell: Cell, device: str, *, is_training: bool) -> float | None:
    """Measure in this process, which should be a fresh one."""
    torch.set_num_threads(cell.threads)
    lq = random_photo(cell.batch, cell.height, cell.width, device)
    # Load all code by a toy network, then take the start.
    build(contender, _TOY.open(), device, is_training=is_training)(random_photo(1, _TOY_SIDE, _TOY_SIDE, device))
    meter = PeakMemory(device)
    start = _current(meter)
    run = build(contender, choice.open(), device, is_training=is_training)
    _current(meter)  # the peak of building it does not count
    run(lq)
    peak = meter.megabytes()
    return None if peak is None or start is None else peak - start


def _current(meter: PeakMemory) -> float | None:
    """Start a new peak and return the memory in use now."""
    meter.give_back()
    meter.reset()
    return meter.megabytes()


if __name__ == "__main__":
    task, weights, name, device, is_training, is_tuned = json.loads(sys.argv[1])
    if is_tuned:
        keep_freed_memory(of_any_size=True)
    cell = Cell(*(int(number) for number in sys.argv[2:]))
    print(json.dumps(measure_here(Choice(task, weights), name, cell, device, is_training=is_training)))
