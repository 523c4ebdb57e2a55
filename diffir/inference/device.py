"""Choose the device and the precision that a network runs in, and measure the free memory there.

In: names given by the user ("auto", "cuda:1", "bf16"). Out: a torch device, a precision, free bytes. "auto" never
chooses fp16, because activations of transformers overflow in it and photos come out black; it chooses bf16 instead.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from diffir.errors import UsageError
from diffir.native.bindings import find_kernels
from diffir.system import Precision

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str = "auto") -> torch.device:
    """The device with this name; ``auto`` takes CUDA if there is a card, else MPS, else the CPU.

    Raises:
        UsageError: the name is not that of a device, or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N, mps")

    # The name is valid: is there such a device?
    if kind == "cuda" and not torch.cuda.is_available():
        build = "this torch is built without CUDA" if torch.version.cuda is None else "torch finds no CUDA device"
        raise UsageError(f"device {name} is not available: {build}; use --device cpu")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise UsageError(f"device {name} is not available: this machine has cuda:0 to cuda:{last}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps is not available: it needs a Mac with Apple silicon; use --device cpu")
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> Precision:
    """The precision with this name; ``auto`` takes bf16 where it is fast, else fp32.

    bf16 is fast on CUDA cards that support it, on CPUs with compiled kernels for it and on CPUs where a short timing
    shows it; a CPU without bf16 units is tens of times slower in it. The global residual, the feature maps and the
    prior stay in fp32, so bf16 changes PSNR by less than 0.02 dB.

    Raises:
        UsageError: the name is not that of a precision, or the device does not support it.
    """
    if name == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        return "bf16" if device.type == "cpu" and _is_bf16_faster_on_cpu() else "fp32"
    if name not in _DTYPES:
        raise UsageError(f"unknown precision {name!r}; known: auto, {', '.join(_DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is for graphics cards; on the CPU use fp32, or bf16 if the CPU supports it")
    return name


def has_bf16_units(cpuinfo: str) -> bool:
    """Read from the text of Linux's /proc/cpuinfo if a CPU has instructions for bf16."""
    flags = next((line.partition(":")[2].split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


@cache
def _is_bf16_faster_on_cpu() -> bool:
    """Time one convolution in both precisions, once, in about 10 ms; the presence of bf16 units alone is no proof."""
    if find_kernels("bf16") is not None:
        return True
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file() or not has_bf16_units(cpuinfo.read_text("utf-8", errors="replace")):
        return False
    # Time a 1x1 convolution of the size that a block of the network has.
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
    """Compute matrix products and convolutions in ``precision``, whatever the program around chose.

    For fp32 on CUDA this switches off TF32, too, in all threads of the process.
    """
    with ExitStack() as stack:
        if precision != "fp32":
            stack.enter_context(torch.autocast(device.type, dtype=_DTYPES[precision]))
        else:
            stack.enter_context(torch.autocast(device.type, enabled=False))
            if device.type == "cuda":
                stack.enter_context(_without_tf32)
        yield


class _WithoutTF32:
    """A context in which CUDA computes with all digits of fp32; the last thread that leaves restores the settings."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before: list[Any] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = [getattr(place, name) for place, name, _ in self._switches()]
                for place, name, exact in self._switches():
                    setattr(place, name, exact)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for (place, name, _), before in zip(self._switches(), self._before, strict=True):
                    setattr(place, name, before)

    @staticmethod
    def _switches() -> list[tuple[Any, str, Any]]:
        """Where torch keeps the settings of matrix products and convolutions, their names, and what excludes TF32."""
        products: Any = torch.backends.cuda.matmul
        cudnn: Any = torch.backends.cudnn
        if hasattr(products, "fp32_precision"):  # from torch 2.9 on
            return [(products, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
        return [(products, "allow_tf32", False), (cudnn, "allow_tf32", False)]


_without_tf32 = _WithoutTF32()


def free_bytes(device: torch.device) -> int:
    """Bytes of memory that new tensors on the device can take; Macs share them between CPU and GPU."""
    if device.type == "cuda":
        unused_by_torch = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused_by_torch
    # Linux reports how much memory programs can still take.
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = meminfo.read_text("ascii").splitlines()
        available = next((line for line in lines if line.startswith("MemAvailable:")), None)
        if available is not None:
            return int(available.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # the free part of it is not reported
    return 4 * 2**30  # Windows reports neither without another package; most machines have this much
