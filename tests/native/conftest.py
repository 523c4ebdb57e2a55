"""Parametrises tests over all compiled kernels that this machine can run.

The environment variable DIFFIR_TEST_KERNELS names another library to test, such as one of test_emulated_avx512.py.
"""

import os
from pathlib import Path

import pytest

from diffir.native import bindings
from diffir.native.bindings import kernels_here

if "DIFFIR_TEST_KERNELS" in os.environ:
    bindings.LIBRARY = Path(os.environ["DIFFIR_TEST_KERNELS"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with the argument ``kernels`` once for each kind; skip them if none was built."""
    if "kernels" not in metafunc.fixturenames:
        return
    found: list = kernels_here()
    names = [f"{kernels.lanes}x{kernels.number}".replace("torch.", "") for kernels in found]
    if not found:
        found = [pytest.param(None, marks=pytest.mark.skip(reason="the compiled kernels were not built here"))]
        names = ["none"]
    metafunc.parametrize("kernels", found, ids=names)
