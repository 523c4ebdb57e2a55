"""Tests of the choice of device and precision, and of the measured free memory."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from diffir.api import restorer_of
from diffir.errors import UsageError
from diffir.inference.device import autocast, free_bytes, has_bf16_units, resolve_device, resolve_precision
from diffir.system import Precision
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.engine import engine
from diffir.systems.diffir.tasks import get_task


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "cuda:99", "mps:1", ""])
def test_a_device_that_is_not_here_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="device"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fma avx2 avx512f avx512_bf16", True), ("amx_tile amx_bf16", True), ("fma avx2 avx512f", False), ("", False)],
)
def test_bf16_units_are_read_from_the_flags_of_the_cpu(flags: str, expected: bool) -> None:
    assert has_bf16_units(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: avx512_bf16_bug\n") is expected


def test_a_cpu_without_bf16_units_gets_fp32() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file() or has_bf16_units(cpuinfo.read_text("utf-8")):
        pytest.skip("needs Linux and a CPU without bf16 units")

    assert resolve_precision("auto", torch.device("cpu")) == "fp32"


def test_precisions_that_a_cpu_lacks_are_wrong_usage() -> None:
    cpu = torch.device("cpu")

    with pytest.raises(UsageError, match="fp16"):
        resolve_precision("fp16", cpu)
    with pytest.raises(UsageError, match="fp32, bf16, fp16"):
        resolve_precision("fp64", cpu)


def test_fp32_on_a_card_forbids_tf32_and_leaves_the_settings_of_the_program_as_they_were() -> None:
    def settings() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    torch.set_float32_matmul_precision("high")
    try:
        before = settings()
        with autocast(torch.device("cuda"), "fp32"):
            inside = settings()
        after = settings()
    finally:
        torch.set_float32_matmul_precision("highest")

    assert inside == ("highest", False)
    assert before == after == ("high", True)


def test_the_prior_is_computed_without_tf32_whatever_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []

    def recorded(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
        entered.append(precision)
        return autocast(device, precision)

    monkeypatch.setattr(engine, "autocast", recorded)
    restorer_of(DiffIR(get_task("denoise_tiny").arch), device="cpu", precision="bf16").restore_tensor(
        torch.rand(1, 3, 16, 16)
    )

    assert entered == ["fp32", "fp32", "bf16"]  # conditioning vector, diffusion, image


def test_with_bf16_the_photo_itself_keeps_fp32() -> None:
    network = DiffIR(get_task("denoise_tiny").arch)
    torch.nn.init.zeros_(network.dirformer.output.output.weight)  # the output is then the global residual plus a bias
    torch.nn.init.zeros_(network.dirformer.output.output.bias)
    lq = torch.rand(1, 3, 16, 16)

    assert torch.equal(restorer_of(network, device="cpu", precision="bf16").restore_tensor(lq), lq)


def test_bf16_is_used_and_stays_near_fp32() -> None:
    network, lq = DiffIR(get_task("denoise_tiny").arch), torch.rand(1, 3, 16, 16)

    exact, rough = (restorer_of(network, device="cpu", precision=p).restore_tensor(lq) for p in ("fp32", "bf16"))

    assert 0 < (exact - rough).abs().max() < 0.02


def test_free_memory_is_a_plausible_number() -> None:
    assert 2**20 < free_bytes(torch.device("cpu")) < 2**50
