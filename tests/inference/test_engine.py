"""Tests of the choice between compiled kernels and torch: both give the same photo, and torch is always available."""

import copy
import platform
import shutil
import sys

import pytest
import torch

from diffir.errors import UsageError
from diffir.native import bindings
from diffir.native.bindings import find_kernels


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine without a compiler, where no kernels were built."""
    monkeypatch.setattr(bindings, "_library", lambda: None)


def test_an_unknown_engine_is_wrong_usage(make_restorer):
    with pytest.raises(UsageError, match="auto, native, torch"):
        make_restorer(engine="c++")


def test_without_kernels_torch_does_their_work(make_restorer, no_kernels):
    assert make_restorer().in_use()["engine"] == "torch"


def test_kernels_that_are_missed_are_named(make_restorer, no_kernels):
    with pytest.raises(UsageError, match="kernels are not available for fp32 on cpu; use engine torch"):
        make_restorer(engine="native")


@pytest.mark.parametrize("stats", ["global", "local", "tile"])
@pytest.mark.parametrize("tile", [-1, 32])
def test_both_engines_give_the_same_photo(make_restorer, stats, tile):
    if find_kernels("fp32") is None:
        pytest.skip("the compiled kernels were not built here")
    lq = torch.rand(2, 3, 50, 70)

    native, plain = (
        make_restorer(engine=engine, stats=stats, tile=tile, patch=32, tile_overlap=16).restore_tensor(lq)
        for engine in ("native", "torch")
    )

    torch.testing.assert_close(native, plain, atol=2e-6, rtol=0)


def test_kernels_are_chosen_where_they_are(make_restorer):
    if find_kernels("fp32") is None:
        pytest.skip("the compiled kernels were not built here")

    assert make_restorer().in_use()["engine"] == "native"
    assert make_restorer(engine="torch").in_use()["engine"] == "torch"


def test_a_copy_that_is_given_other_weights_uses_them(make_restorer):
    restorer, lq = make_restorer(), torch.rand(1, 3, 32, 32)
    restorer.restore_tensor(lq)

    other = copy.deepcopy(restorer)
    with torch.no_grad():
        for parameter in other.engine.network.dirformer.parameters():
            parameter.mul_(1.5)

    expected = make_restorer(engine="torch")
    expected.engine.network.load_state_dict(other.engine.network.state_dict())
    torch.testing.assert_close(other.restore_tensor(lq), expected.restore_tensor(lq), atol=1e-4, rtol=0)
    assert (other.restore_tensor(lq) - restorer.restore_tensor(lq)).abs().max() > 1e-2


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or shutil.which("g++") is None,
    reason="the kernels are built only on x86-64 Linux with a compiler",
)
def test_where_there_is_a_compiler_the_kernels_were_built():
    assert bindings.kernels_here(), (
        "pip install -e . again, with -v: the C++ does not compile, or is older than Python's"
    )
