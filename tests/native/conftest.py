"""Parametrises tests over all compiled kernels that this machine can run."""

import pytest

from diffir.native.bindings import kernels_here


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
