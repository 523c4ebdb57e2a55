"""Tests of the choice of device and precision, and of the measured free memory."""

import subprocess
import sys
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


TF32 = """
import torch
from diffir.inference.device import autocast

def settings():
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(products, "fp32_precision"):
        return products.fp32_precision == cudnn.conv.fp32_precision == "ieee", cudnn.deterministic
    return not products.allow_tf32 and not cudnn.allow_tf32, cudnn.deterministic

torch.backends.cudnn.deterministic = True
torch.set_float32_matmul_precision("high")
before = settings()
outer, inner = (autocast(torch.device("cuda"), "fp32") for _ in range(2))
outer.__enter__(), inner.__enter__()
outer.__exit__(None, None, None)  # as another thread may leave first
inside = settings()
inner.__exit__(None, None, None)
print(before, inside, settings(), torch.get_float32_matmul_precision())
"""
TF32_OF_TORCH_2_9 = """
import torch
from diffir.inference.device import autocast

torch.backends.fp32_precision = "tf32"
with autocast(torch.device("cuda"), "fp32"):
    print(torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision, end=" ")
print(torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision)
"""


def test_fp32_on_a_card_forbids_tf32_and_leaves_the_settings_of_the_program_as_they_were() -> None:
    assert printed_by(TF32) == "(False, True) (True, True) (False, True) high"


def test_fp32_on_a_card_forbids_tf32_in_programs_that_use_the_newer_switch() -> None:
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("needs torch 2.9")

    assert printed_by(TF32_OF_TORCH_2_9) == "ieee ieee tf32 tf32"


def test_fp32_is_fp32_inside_a_program_that_computes_in_bf16() -> None:
    layer, x = torch.nn.Linear(4, 4), torch.rand(2, 4)

    with torch.autocast("cpu", dtype=torch.bfloat16), autocast(torch.device("cpu"), "fp32"):
        assert layer(x).dtype == torch.float32


def printed_by(program: str) -> str:
    """What a program prints that runs in a process of its own, since its settings are those of the process."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


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
