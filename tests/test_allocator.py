"""Freed memory stays in the process."""

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, torch
from diffir.allocator import keep_freed_memory
if {tuned}: assert keep_freed_memory()
for round in range(7):
    if round == 5:  # the heap has found its size
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = torch.ones(16 * 2**20)  # 64 MB, more than glibc ever learns to keep by itself
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, tuned: bool) -> int:
    command = [sys.executable, "-c", COUNT_FAULTS.format(tuned=tuned)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_large_tensors_reuse_the_pages_of_those_before():
    assert faults(tuned=True) < 1_000 < 30_000 < faults(tuned=False)
