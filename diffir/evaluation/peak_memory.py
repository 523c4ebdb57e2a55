"""How much memory restoring takes at its largest.

On the CPU it is the resident size of the whole process, python and torch included, as Linux keeps it (``VmHWM`` of
proc(5)); other systems keep no such figure that can be set back. On CUDA it is what torch's allocator held.
"""

import ctypes
import platform
from pathlib import Path

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5): set the peak back to the present size


class PeakMemory:
    """The largest use since the last ``reset``."""

    def __init__(self, device: str = "cpu") -> None:
        """``device`` is where the method works: cpu, cuda or cuda:N."""
        self.device = device
        self._can_reset = False

    def give_back(self) -> None:
        """Return freed memory to the system, so that a method does not inherit the peak of the one before."""
        if platform.libc_ver()[0] == "glibc":
            ctypes.CDLL(None).malloc_trim(0)

    def reset(self) -> None:
        """Begin anew."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
            return
        try:
            _CLEAR.write_text(_RESET_PEAK, "ascii")
            self._can_reset = True
        except OSError:
            self._can_reset = False

    def megabytes(self) -> float | None:
        """The largest use, in 10^6 bytes; None where the system does not say."""
        if self.device.startswith("cuda"):
            import torch

            return torch.cuda.max_memory_allocated(self.device) / 1e6
        if not self._can_reset:
            return None
        lines = _STATUS.read_text("ascii", errors="replace").splitlines()
        kibibytes = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
        return None if kibibytes is None else int(kibibytes) * 1024 / 1e6
