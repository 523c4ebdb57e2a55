"""Every kind of kernels that this machine can run."""

import pytest

from diffir.native.kernels import kernels_here


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that take ``kernels`` run for each kind; where none was built, they skip and say so."""
    if "kernels" not in metafunc.fixturenames:
        return
    found: list = kernels_here()
    names = [f"{kernels.lanes}x{kernels.number}".replace("torch.", "") for kernels in found]
    if not found:
        found = [pytest.param(None, marks=pytest.mark.skip(reason="the compiled kernels were not built here"))]
        names = ["none"]
    metafunc.parametrize("kernels", found, ids=names)
