"""Freed memory stays in the process and is used again, for tensors as for any large block."""

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource
from diffir.allocator import keep_freed_memory
assert keep_freed_memory()
for round in range(20):
    if round == 15:  # the heap has found its size
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = b"x" * (36 << 20)  # more than glibc ever learns to keep by itself: 9216 fresh pages otherwise
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_large_blocks_reuse_the_pages_of_those_before():
    faults = int(subprocess.run([sys.executable, "-c", COUNT_FAULTS], check=True, capture_output=True).stdout)

    assert faults < 9216  # one of the five blocks: other processes may take pages away meanwhile
