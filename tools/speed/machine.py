"""The machine on which ``tools.speed`` runs: its description, and how fast it multiplies matrices.

The fastest of a few matrix products, in GFLOP/s, is the ceiling for the speeds of networks. The shapes are a large
square matrix, and those of pointwise convolutions of a photo of 256 x 256 pixels.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

from tools.speed.turns import in_turns

CPUINFO = Path("/proc/cpuinfo")
_SHAPES = ((16384, 96, 384), (65536, 48, 144), (4096, 384, 384))  # rows, inner, columns
_SIDE = {"cpu": 1536, "cuda": 8192}  # of the square matrices, large enough for all units of the device
_REPEATS = 5
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Machine:
    """The description of the machine that a report carries."""

    cpu: str
    cores: int
    device: str
    torch: str
    system: str

    @classmethod
    def of(cls, device: str) -> "Machine":
        """Describe this machine with that torch device."""
        models = [line.partition(":")[2].strip() for line in cpuinfo().splitlines() if line.startswith("model name")]
        card = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
        cpu = models[0] if models else platform.processor() or "unknown"
        return cls(cpu, os.cpu_count() or 1, card, torch.__version__, platform.platform())


def cpuinfo() -> str:
    """Return the text of /proc/cpuinfo, empty where the system has none."""
    return CPUINFO.read_text("utf-8", errors="replace") if CPUINFO.is_file() else ""


@cache
def ceiling(device: str, precision: str, threads: int) -> float:
    """Return the GFLOP/s of the fastest of a few matrix products."""
    dtype, fastest = _DTYPES[precision], 0.0
    with thread_number(threads), torch.inference_mode():
        side = _SIDE.get(torch.device(device).type, _SIDE["cpu"])
        for rows, inner, columns in (*_SHAPES, (side, side, side)):
            left = torch.ones(rows, inner, dtype=dtype, device=device)
            right = torch.ones(inner, columns, dtype=dtype, device=device)
            seconds = in_turns({"mm": partial(torch.mm, left, right)}, _REPEATS, device)["mm"].seconds
            fastest = max(fastest, 2 * rows * inner * columns / 1e9 / min(seconds))
    return fastest


@contextmanager
def thread_number(threads: int) -> Iterator[None]:
    """Set the number of threads of torch, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
