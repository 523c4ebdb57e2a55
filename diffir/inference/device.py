"""Where and in which precision a network runs, and the memory there.

In: what the user asked for ("auto", "cuda:1", "bf16"). Out: a torch device, a precision, free bytes. bf16, not fp16,
is the half type chosen by itself: transformers overflow in fp16 and photos come out black.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import torch

from diffir.errors import UsageError
from diffir.native.bindings import find_kernels
from diffir.system import Precision

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str = "auto") -> torch.device:
    """The device of that name; ``auto`` takes CUDA, else MPS, else the CPU.

    Raises:
        UsageError: not a device, or not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N, mps")
    if kind == "cuda" and not torch.cuda.is_available():
        build = "this torch is built without CUDA" if torch.version.cuda is None else "torch finds no CUDA device"
        raise UsageError(f"device {name} is not here: {build}; use --device cpu")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {name} is not here: this machine has cuda:0 to cuda:{torch.cuda.device_count() - 1}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps is not here: it needs a Mac with Apple silicon; use --device cpu")
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> Precision:
    """``auto`` is bf16 on CUDA, on CPUs with compiled kernels for it or that prove faster in it, and fp32 elsewhere.

    Global residual, maps and prior stay fp32: bf16 moves PSNR by less than 0.02 dB. Without bf16 units a CPU is tens
    of times slower in it.

    Raises:
        UsageError: not a precision, or one that the device cannot compute in.
    """
    if name == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        return "bf16" if device.type == "cpu" and _is_bf16_faster_on_cpu() else "fp32"
    if name not in _DTYPES:
        raise UsageError(f"unknown precision {name!r}; known: auto, {', '.join(_DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is for graphics cards; on the CPU use fp32, or bf16 where the CPU computes in it")
    return name


def has_bf16_units(cpuinfo: str) -> bool:
    """Whether a CPU computes in bf16, from the text of Linux's /proc/cpuinfo."""
    flags = next((line.partition(":")[2].split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


@cache
def _is_bf16_faster_on_cpu() -> bool:
    """Units alone do not decide torch's speed: a convolution of a block is timed in both, once, in some 10 ms."""
    if find_kernels("bf16") is not None:
        return True
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file() or not has_bf16_units(cpuinfo.read_text("utf-8", errors="replace")):
        return False
    layer, x = torch.nn.Conv2d(48, 144, 1), torch.zeros(1, 48, 64, 128)

    def seconds(precision: Precision) -> float:
        start = time.perf_counter()
        with torch.inference_mode(), autocast(torch.device("cpu"), precision):
            layer(x)
        return time.perf_counter() - start

    fp32, bf16 = (min(seconds(precision) for _ in range(5)) for precision in ("fp32", "bf16"))
    return bf16 < fp32


@contextmanager
def autocast(device: torch.device, precision: Precision) -> Iterator[None]:
    """Matrix products and convolutions in ``precision``; fp32 means it, also where CUDA would take TF32."""
    with ExitStack() as stack:
        if precision != "fp32":
            stack.enter_context(torch.autocast(device.type, dtype=_DTYPES[precision]))
        elif device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        yield


def free_bytes(device: torch.device) -> int:
    """Memory that a new allocation could take; on Macs it is shared with the CPU."""
    if device.type == "cuda":
        unused_by_torch = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused_by_torch
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = meminfo.read_text("ascii").splitlines()
        available = next((line for line in lines if line.startswith("MemAvailable:")), None)
        if available is not None:
            return int(available.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # how much of it is free is not told
    return 4 * 2**30  # Windows tells neither without another package; a guess most machines can keep
