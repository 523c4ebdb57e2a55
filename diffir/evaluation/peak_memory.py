"""Measure the peak memory of restoring.

On the CPU this is the resident size of the whole process, python and torch included, as Linux records it (``VmHWM`` in
proc(5)); other systems have no such figure that can be reset. On CUDA it is what torch's allocator held.
"""

import ctypes
import platform
from pathlib import Path

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5): reset the peak to the current size


class PeakMemory:
    """The largest memory use since the last call of ``reset``."""

    def __init__(self, device: str = "cpu") -> None:
        """``device`` is where the method runs: cpu, cuda or cuda:N."""
        self.device = device
        self._can_reset = False

    def give_back(self) -> None:
        """Return freed memory to the system, so that a method does not inherit the peak of the one before."""
        if platform.libc_ver()[0] == "glibc":
            ctypes.CDLL(None).malloc_trim(0)

    def reset(self) -> None:
        """Reset the peak, which starts a new measurement."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
            return
        # The kernel may not allow the reset, such as in some containers; then nothing is reported.
        try:
            _CLEAR.write_text(_RESET_PEAK, "ascii")
            self._can_reset = True
        except OSError:
            self._can_reset = False

    def megabytes(self) -> float | None:
        """The largest memory use in 10^6 bytes; None if the system does not record it."""
        if self.device.startswith("cuda"):
            import torch

            return torch.cuda.max_memory_allocated(self.device) / 1e6
        if not self._can_reset:
            return None
        lines = _STATUS.read_text("ascii", errors="replace").splitlines()
        kibibytes = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
        return None if kibibytes is None else int(kibibytes) * 1024 / 1e6
