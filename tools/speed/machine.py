"""The machine on which ``tools.speed`` runs: its description, and how fast it multiplies matrices and copies memory.

The fastest of a few matrix products, in GFLOP/s, is the ceiling for the speeds of networks. The shapes are a large
square matrix, and those of pointwise convolutions of a photo of 256 x 256 pixels. A network that moves much memory for
little arithmetic has the speed of a copy as its ceiling.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

from diffir.inference.device import has_bf16_units
from tools.speed.turns import in_turns

CPUINFO = Path("/proc/cpuinfo")
_SHAPES = ((16384, 96, 384), (65536, 48, 144), (4096, 384, 384))  # rows, inner, columns
_SIDE = {"cpu": 1536, "cuda": 8192}  # of the square matrices, large enough for all units of the device
_REPEATS = 5
_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
_PATIENCE = 20  # seconds for nvidia-smi
_COPIED = {"cpu": 2**27, "cuda": 2**29}  # bytes, far more than the caches hold


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


@dataclass(frozen=True)
class Card:
    """The description of a graphics card and of the software that drives it."""

    name: str
    capability: str
    """The compute capability, such as 9.0."""
    multiprocessors: int
    memory: int
    """Bytes of memory."""
    has_bf16: bool
    """Whether the card has units for bf16; without them torch computes it by fp32."""
    driver: str
    cuda: str
    """The version of CUDA that torch is built with."""
    cudnn: str

    @classmethod
    def of(cls, device: str) -> "Card":
        """Describe the card that a torch device names."""
        found = torch.cuda.get_device_properties(device)
        return cls(
            name=found.name,
            capability=f"{found.major}.{found.minor}",
            multiprocessors=found.multi_processor_count,
            memory=found.total_memory,
            has_bf16=has_fast_bf16(device),
            driver=driver_version(),
            cuda=str(torch.version.cuda),
            cudnn=str(torch.backends.cudnn.version()),
        )


def has_fast_bf16(device: str) -> bool:
    """Return whether a card or this CPU has units for bf16; others are many times slower in it."""
    if torch.device(device).type != "cuda":
        return has_bf16_units(cpuinfo())
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def driver_version() -> str:
    """Return the version of NVIDIA's driver as nvidia-smi states it, or "unknown"."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "unknown"
    asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        printed = subprocess.run(asked, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return printed.partition("\n")[0].strip() or "unknown"


def cpuinfo() -> str:
    """Return the text of /proc/cpuinfo, empty where the system has none."""
    return CPUINFO.read_text("utf-8", errors="replace") if CPUINFO.is_file() else ""


@cache
def ceiling(device: str, precision: str, threads: int) -> float:
    """Return the GFLOP/s of the fastest of a few matrix products; tf32 is fp32 as tensor cores of NVIDIA compute it."""
    dtype, fastest = _DTYPES[precision], 0.0
    with thread_number(threads), _tf32(allowed=precision == "tf32"), torch.inference_mode():
        side = _SIDE.get(torch.device(device).type, _SIDE["cpu"])
        for rows, inner, columns in (*_SHAPES, (side, side, side)):
            left = torch.ones(rows, inner, dtype=dtype, device=device)
            right = torch.ones(inner, columns, dtype=dtype, device=device)
            seconds = in_turns({"mm": partial(torch.mm, left, right)}, _REPEATS, device)["mm"].seconds
            fastest = max(fastest, 2 * rows * inner * columns / 1e9 / min(seconds))
    return fastest


@cache
def copy_bandwidth(device: str, threads: int) -> float:
    """Return the GB/s that a copy within the memory of the device reads and writes together."""
    source = torch.ones(_COPIED.get(torch.device(device).type, _COPIED["cpu"]), dtype=torch.uint8, device=device)
    copy = partial(torch.empty_like(source).copy_, source)
    with thread_number(threads), torch.inference_mode():
        seconds = in_turns({"copy": copy}, _REPEATS, device)["copy"].seconds
    return 2 * source.numel() / 1e9 / min(seconds)


@contextmanager
def _tf32(*, allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in matrix products, and restore the setting afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def thread_number(threads: int) -> Iterator[None]:
    """Set the number of threads of torch, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
