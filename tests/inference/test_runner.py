"""Tests of recovery from failures: smaller tiles if memory runs out, a higher precision if values overflow."""

import numpy as np
import pytest
import torch

from diffir.api import restorer_of
from diffir.errors import DiffIRError
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, 3), np.float32)


def toy() -> DiffIR:
    torch.manual_seed(0)
    return DiffIR(get_task("denoise_tiny").arch)


def with_memory_for(side: int) -> DiffIR:
    """A network that runs out of memory if lq is wider than so many pixels."""
    network = toy()

    def refuse(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if 2 * inputs[0].shape[-1] > side:
            raise torch.OutOfMemoryError("CUDA out of memory")

    network.dirformer.patch_embed.register_forward_pre_hook(refuse)
    return network


def overflowing(*, in_fp32_too: bool = False) -> DiffIR:
    """A network whose output is infinite in half precision."""
    network = toy()

    def overflow(module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        return output + torch.inf if in_fp32_too or torch.is_autocast_enabled("cpu") else output

    network.dirformer.output.register_forward_hook(overflow)
    return network


def test_out_of_memory_halves_the_tile_goes_on_and_says_so() -> None:
    restorer = restorer_of(with_memory_for(64), device="cpu", precision="fp32")

    restored = restorer.restore(photo(80, 192))

    assert restored.shape == (80, 192, 3)
    assert restorer.last_tile == 64
    assert restorer.take_notes() == [
        "out of memory on cpu: tiles of 96 pixels from here on",
        "out of memory on cpu: tiles of 64 pixels from here on",
    ]
    assert restorer.take_notes() == []


@pytest.mark.parametrize("patch", [32, 256])
@pytest.mark.parametrize("overlap", [0, 32])
def test_memory_for_no_window_ends_in_an_error_not_in_a_loop(patch: int, overlap: int) -> None:
    network = with_memory_for(0)
    restorer = restorer_of(network, device="cpu", precision="fp32", stats="local", patch=patch, tile_overlap=overlap)

    with pytest.raises(DiffIRError, match="out of memory on cpu even with tiles of"):
        restorer.restore(photo(80, 500))


@pytest.mark.parametrize(
    "words", ["DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory"]
)
def test_every_library_s_words_for_out_of_memory_are_known(words: str) -> None:
    network, attempts = toy(), []

    def refuse_once(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError(words)

    network.dirformer.patch_embed.register_forward_pre_hook(refuse_once)

    assert restorer_of(network, device="cpu", precision="fp32").restore(photo(160, 160)).shape == (160, 160, 3)


def test_other_errors_of_the_network_are_not_taken_for_memory() -> None:
    network = toy()

    def fail(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        raise RuntimeError("shapes do not match")

    network.dirformer.patch_embed.register_forward_pre_hook(fail)

    with pytest.raises(RuntimeError, match="shapes do not match"):
        restorer_of(network, device="cpu", precision="fp32").restore(photo(32, 32))


def test_a_smaller_tile_is_kept_for_the_photos_that_follow() -> None:
    restorer = restorer_of(with_memory_for(64), device="cpu", precision="fp32")
    restorer.restore(photo(80, 192))
    restorer.take_notes()

    restorer.restore(photo(80, 192))

    assert restorer.take_notes() == []


def test_never_tile_is_kept_even_when_memory_runs_out() -> None:
    with pytest.raises(DiffIRError, match="allow tiles with tile 0"):
        restorer_of(with_memory_for(64), device="cpu", precision="fp32", tile=-1).restore(photo(80, 80))


def test_memory_for_no_tile_at_all_is_one_clear_error() -> None:
    with pytest.raises(DiffIRError, match="out of memory on cpu even with tiles of 64 pixels"):
        restorer_of(with_memory_for(0), device="cpu", precision="fp32").restore(photo(80, 192))


@pytest.mark.parametrize("tile", [-1, 32])
def test_what_overflows_is_redone_in_fp32_and_told_once(tile: int) -> None:
    restorer = restorer_of(overflowing(), device="cpu", precision="bf16", tile=tile, tile_overlap=0)

    restored = restorer.restore(photo(32, 64))

    expected = restorer_of(toy(), device="cpu", precision="fp32", tile=tile, tile_overlap=0).restore(photo(32, 64))
    np.testing.assert_allclose(restored, expected, atol=1e-6)
    assert restorer.take_notes() == ["bf16 overflowed, redone in fp32"]


def test_weights_that_overflow_even_in_fp32_are_an_error_not_a_black_photo() -> None:
    with pytest.raises(DiffIRError, match="NaN or infinity even in fp32"):
        restorer_of(overflowing(in_fp32_too=True), device="cpu", precision="fp32").restore(photo(32, 32))


def test_half_precision_stays_near_full_precision() -> None:
    half, full = (restorer_of(toy(), device="cpu", precision=name).restore(photo(32, 32)) for name in ("bf16", "fp32"))

    assert 0 < np.abs(half - full).max() < 0.01


@pytest.mark.parametrize("tile", [-1, 32])
@pytest.mark.parametrize("stats", ["tile", "global"])
def test_progress_rises_to_the_end(tile: int, stats: str) -> None:
    seen: list[float] = []
    restorer = restorer_of(toy(), device="cpu", precision="fp32", tile=tile, tile_overlap=0, stats=stats)

    restorer.restore(photo(32, 96), on_progress=seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) > 5
