"""Let the C library keep freed memory in the process, which makes large tensors on the CPU much faster.

By default glibc returns every freed block above 128 kB to the system, so each layer of a network must get fresh pages
again, which on virtual machines takes more time than the arithmetic. Commands call this function once, at their start.
It affects only Linux with glibc. The parameters are those of mallopt(3).
"""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4
_NEVER = -1  # mallopt reads it as the largest size
_BLOCK = 64 << 20  # bytes; larger blocks, such as maps of large photos, are still returned to the system
_STEP = 64 << 20  # bytes by which the heap grows at a time


def keep_freed_memory(*, of_any_size: bool = False) -> bool:
    """Reuse freed memory instead of returning it to the system; return whether the C library accepted the setting.

    Args:
        of_any_size: also keep blocks above 64 MB. This is for benchmarks of networks that do not work in strips.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = [(_M_MMAP_THRESHOLD, _BLOCK), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _STEP)]
    if of_any_size:
        wanted.append((_M_MMAP_MAX, 0))
    taken = [mallopt(parameter, value) == 1 for parameter, value in wanted]
    return all(taken)
