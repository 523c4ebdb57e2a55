"""The Triton kernels compute what the modules of the network do; Triton's interpreter runs them here on the CPU."""

import copy
import os
import subprocess
import sys
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from diffir.api import restorer_of
from diffir.errors import UsageError
from diffir.inference.device import autocast
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.dirformer import DGFN
from diffir.systems.diffir.engine import engine
from diffir.systems.diffir.layers import ChannelNorm

SMALL = ArchSettings(dim=6, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, heads=(1, 2, 2, 2), prior_width=8)


@pytest.fixture
def kernels() -> ModuleType:
    """The module of the kernels, interpreted."""
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("Triton compiles for the card of this machine, where the test marked gpu runs")
    pytest.importorskip("triton")
    from diffir.systems.diffir.engine import triton_kernels

    return triton_kernels


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def network_of(norm: str) -> DiffIR:
    settings = ArchSettings(**{**vars(SMALL), "norm": norm})
    network = DiffIR(settings, stage=2).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False).add_(0.05 * torch.randn_like(parameter))
    return network


def restored(network: DiffIR, lq: torch.Tensor, name: str, device: str = "cpu", **options: object) -> torch.Tensor:
    return restorer_of(copy.deepcopy(network), device=device, engine=name, **options).restore_tensor(lq)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 24, 5, 7), (3, 48, 9, 4), (2, 1, 1, 1), (1, 130, 3, 3)])
def test_the_norm_is_that_of_the_network(kernels, bias, shape) -> None:
    norm = ChannelNorm(shape[1], bias=bias)
    for parameter in norm.parameters():
        parameter.requires_grad_(False).add_(0.3 * torch.randn_like(parameter))
    x = 2 + torch.randn(shape).to(memory_format=torch.channels_last)
    modulation = torch.randn(shape[:2]), torch.randn(shape[:2])

    found = kernels.modulated_norm(x, *norm.fold(modulation), is_centred=bias, dtype=torch.float32)

    torch.testing.assert_close(found, norm(x, modulation), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(("hidden", "height", "width"), [(13, 6, 5), (64, 1, 17), (65, 3, 16), (1, 1, 1)])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_gate_is_that_of_the_network(kernels, batch, hidden, height, width) -> None:
    dgfn = DGFN(8, hidden / 8, 4)
    x = torch.randn(batch, 2 * hidden, height, width)

    with torch.no_grad():
        found = kernels.gated_taps(x, dgfn.dwconv.weight)
        gate, value = dgfn.dwconv(x).chunk(2, dim=1)

    torch.testing.assert_close(found, F.gelu(gate) * value, atol=1e-6, rtol=1e-5)


def test_maps_in_bf16_give_results_in_bf16(kernels) -> None:
    x, weight = torch.randn(1, 8, 4, 4).bfloat16(), torch.randn(8, 1, 3, 3)

    found = kernels.gated_taps(x, weight)

    gate, value = F.conv2d(x.float(), weight, padding=1, groups=8).chunk(2, dim=1)
    torch.testing.assert_close(found, (F.gelu(gate) * value).bfloat16(), atol=0, rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "options"), [("with_bias", {"stats": "global"}), ("bias_free", {"stats": "tile", "tile": 16})]
)
def test_the_engine_gives_the_photo_of_torch(kernels, norm, options) -> None:
    network, lq = network_of(norm), torch.rand(1, 3, 17, 12)

    found, expected = (restored(network, lq, name, **options) for name in ("triton", "torch"))

    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


@pytest.mark.slow
def test_bf16_is_near_fp32(kernels) -> None:
    network, lq = network_of("with_bias"), torch.rand(1, 3, 8, 16)

    found, expected = (restored(network, lq, "triton", precision=precision) for precision in ("bf16", "fp32"))

    assert 0 < (found - expected).abs().max() < 0.05


def test_without_a_card_the_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)

    with pytest.raises(UsageError, match="needs an NVIDIA card, not cpu; use engine torch"):
        restored(network_of("with_bias"), torch.rand(1, 3, 16, 16), "triton")


def test_when_memory_runs_out_torch_goes_on_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(engine, "has_triton", lambda device: True)
        restorer = restorer_of(network_of("with_bias"), device="cpu", engine="triton")
    monkeypatch.setattr(engine, "has_triton", lambda device: False)

    assert torch.isfinite(restorer.restore_tensor(torch.rand(1, 3, 16, 16))).all()
    assert restorer.in_use()["engine"] == "torch"


@pytest.mark.gpu
@pytest.mark.parametrize(("channels", "hidden"), [(48, 127), (384, 1021)])
def test_on_a_card_the_kernels_are_right_at_the_widths_of_the_released_networks(channels, hidden) -> None:
    from diffir.systems.diffir.engine import triton_kernels

    norm, dgfn = ChannelNorm(channels, bias=True).cuda(), DGFN(channels, hidden / channels + 1e-6, 4).cuda()
    x = torch.randn(2, channels, 37, 50, device="cuda").to(memory_format=torch.channels_last)
    modulation = torch.randn(2, channels, device="cuda"), torch.randn(2, channels, device="cuda")
    expanded = torch.randn(2, 2 * hidden, 37, 50, device="cuda")

    with torch.no_grad(), autocast(x.device, "fp32"):
        normed = triton_kernels.modulated_norm(x, *norm.fold(modulation), is_centred=True, dtype=torch.float32)
        gated = triton_kernels.gated_taps(expanded, dgfn.dwconv.weight)
        gate, value = dgfn.dwconv(expanded).chunk(2, dim=1)
        torch.testing.assert_close(normed, norm(x, modulation), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(gated, F.gelu(gate) * value, atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_on_a_card_the_engine_gives_the_photo_of_torch(norm, precision, tolerance) -> None:
    network, lq = network_of(norm), torch.rand(2, 3, 200, 264)

    found, expected = (restored(network, lq, name, "cuda", precision=precision) for name in ("triton", "torch"))

    assert (found - expected).abs().max() < tolerance


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from diffir.systems.diffir.engine import triton_kernels as kernels

norm = {"x": "*bf16", "gain": "*fp32", "shift": "*fp32", "out": "*bf16", "eps": "fp32"}
norm |= dict.fromkeys(["pixels", "pixels_per_image", "channels"], "i32")
gate = {"x": "*bf16", "taps": "*fp32", "out": "*bf16", "height": "i32", "width": "i32", "hidden": "i32"}
for kernel, types, constants in (
    (kernels._norm_kernel, norm, {"is_centred": False, "block_pixels": 64, "block_channels": 64}),
    (kernels._norm_kernel, norm, {"is_centred": True, "block_pixels": 8, "block_channels": 512}),
    (kernels._gate_kernel, gate, {"block_columns": 16, "block_channels": 64}),
):
    assert compile(ASTSource(kernel, types, constants), target=GPUTarget("cuda", 90, 32)).asm["cubin"]
"""


def test_the_kernels_compile_for_a_card_that_is_not_there() -> None:
    pytest.importorskip("triton")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}

    result = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
