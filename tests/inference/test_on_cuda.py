"""Tests on a graphics card; they are skipped on machines without one. ``pytest -m gpu`` runs all of the kind."""

import numpy as np
import pytest
import torch

from diffir.api import restorer_of
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task

pytestmark = pytest.mark.gpu


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, 3), np.float32)


def toy() -> DiffIR:
    torch.manual_seed(0)
    return DiffIR(get_task("denoise_tiny").arch)


@pytest.mark.parametrize("stats", ["tile", "global", "local"])
@pytest.mark.parametrize("tile", [-1, 64])
def test_cuda_and_cpu_agree_in_fp32(stats: str, tile: int) -> None:
    on_cpu, on_cuda = (
        restorer_of(toy(), device=device, precision="fp32", stats=stats, patch=32, tile=tile).restore(photo(90, 130))
        for device in ("cpu", "cuda")
    )

    np.testing.assert_allclose(on_cuda, on_cpu, atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_near_full_precision(precision: str) -> None:
    half, full = (restorer_of(toy(), device="cuda", precision=p).restore(photo(64, 64)) for p in (precision, "fp32"))

    assert 0 < np.abs(half - full).max() < 0.02


def test_memory_for_no_tile_on_the_card_moves_to_the_cpu_and_says_so() -> None:
    network = toy()

    def refuse(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if inputs[0].is_cuda:
            raise torch.OutOfMemoryError("CUDA out of memory")

    network.dirformer.patch_embed.register_forward_pre_hook(refuse)
    restorer = restorer_of(network, device="cuda", precision="fp32", stats="tile", tile=64)

    restored = restorer.restore(photo(96, 128))

    expected = restorer_of(toy(), device="cpu", precision="fp32", stats="tile", tile=64).restore(photo(96, 128))
    np.testing.assert_allclose(restored, expected, atol=1e-4)
    assert restorer.take_notes()[-1].endswith("on the CPU from here on")
    assert restorer.device.type == "cpu"
