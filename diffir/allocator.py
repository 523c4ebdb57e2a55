"""Keep freed memory in the process: the one setting of the C library that decides how fast large tensors are.

By default glibc gives every freed block above 128 kB back to the system, so each layer of a network pays for fresh
pages again: on virtual machines that costs more than the arithmetic. Called once, when a command starts; nothing but
Linux with glibc is touched. The parameters are those of mallopt(3).
"""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4
_NEVER = -1  # read as the largest size
_BLOCK = 64 << 20  # bytes; larger blocks, the maps of large photos, still go back to the system when they are freed
_STEP = 64 << 20  # bytes the heap grows by at a time


def keep_freed_memory(*, of_any_size: bool = False) -> bool:
    """Reuse freed memory instead of returning it. Returns whether the C library took the setting.

    Args:
        of_any_size: also blocks above 64 MB; for measuring networks that are not run in strips at their best.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = [(_M_MMAP_THRESHOLD, _BLOCK), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _STEP)]
    if of_any_size:
        wanted.append((_M_MMAP_MAX, 0))
    taken = [mallopt(parameter, value) == 1 for parameter, value in wanted]
    return all(taken)
