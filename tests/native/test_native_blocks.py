"""Compiled kernels give the same results as the blocks of the network and as the strips in torch."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from diffir.native.bindings import Kernels
from diffir.systems.diffir import ArchSettings
from diffir.systems.diffir.dirformer import Block
from diffir.systems.diffir.engine import native_blocks
from diffir.systems.diffir.engine.attention import RecordedStatistics, Statistics, Windows
from diffir.systems.diffir.engine.native_blocks import NativeBlocks, PackedNetwork
from diffir.systems.diffir.engine.torch_blocks import TorchBlocks

# channels, heads: whole vectors, parts of vectors, heads that end within one, fewer channels than a vector
WIDTHS = [(32, 1), (48, 2), (52, 2), (24, 4), (8, 2), (104, 2), (6, 1), (16, 16), (48, 16)]
SIZES = [(16, 16), (7, 41), (1, 9), (9, 1), (70, 67), (33, 8)]


def block_of(channels: int, heads: int, norm: str = "with_bias", expansion: float = 2.2) -> Block:
    torch.manual_seed(0)
    block = Block(channels, heads, ArchSettings(norm=norm, ffn_expansion=expansion, prior_width=16))
    for parameter in block.parameters():
        parameter.requires_grad_(False).add_(0.3 * torch.randn_like(parameter))
    return block.eval()


def blocks_of(kernels: Kernels) -> NativeBlocks:
    return NativeBlocks(PackedNetwork(kernels))


def map_of(channels: int, height: int, width: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, channels, height, width).to(memory_format=torch.channels_last)


def assert_same_change(kernels: Kernels, x: Tensor, found: Tensor, expected: Tensor) -> None:
    """Compare up to the last digits of float32; bf16 has 8 bits and may flip single signs, so its mean is compared."""
    error, change = (found - expected).abs(), (expected - x).abs()
    if kernels.number == torch.float32:
        assert error.max() <= 2e-5 * change.max()
    else:
        assert error.mean() <= 0.02 * change.mean() and error.quantile(0.99) <= 0.1 * change.max()


@pytest.mark.parametrize(("channels", "heads"), WIDTHS)
@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
def test_attention_equals_that_of_the_network(kernels, channels, heads, norm):
    block, x, prior = block_of(channels, heads, norm), map_of(channels, 19, 23), torch.rand(1, 16) + 0.5

    found = blocks_of(kernels).attend(block, x, prior, Statistics(), 1)

    expected = x + block.attn(block.norm1(x, block.attn.modulation(prior)))
    assert_same_change(kernels, x, found, expected)


@pytest.mark.parametrize(("channels", "heads"), WIDTHS)
@pytest.mark.parametrize("expansion", [1.0, 1.8, 2.66])
def test_the_gated_network_equals_that_of_the_network(kernels, channels, heads, expansion):
    block, x, prior = block_of(channels, heads, "bias_free", expansion), map_of(channels, 19, 23), torch.rand(1, 16)

    found = blocks_of(kernels).feed(block, x, prior)

    expected = x + block.ffn(block.norm2(x, block.ffn.modulation(prior)))
    assert_same_change(kernels, x, found, expected)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_maps_of_any_size_are_changed_to_their_edges(kernels, height, width):
    block, x, prior = block_of(48, 2), map_of(48, height, width), torch.rand(1, 16) + 0.5

    found = blocks_of(kernels).feed(block, blocks_of(kernels).attend(block, x, prior, Statistics(), 1), prior)

    assert_same_change(kernels, x, found, block(x, prior))


@pytest.mark.parametrize("channels", [32, 30])
def test_maps_too_large_for_the_caches_get_the_same_result(kernels, channels):
    """Above 16 MB, results are written past the caches if a pixel has whole vectors of channels."""
    block, x, prior = block_of(channels, 2, expansion=1.0), map_of(channels, 400, 400), torch.rand(1, 16) + 0.5
    assert x.nbytes > 16 << 20
    some = (..., slice(None, None, 7), slice(None))  # every seventh row: comparing takes longer than computing

    found = blocks_of(kernels).feed(block, blocks_of(kernels).attend(block, x, prior, Statistics(), 1), prior)

    assert_same_change(kernels, x[some], found[some], block(x, prior)[some])


@pytest.mark.parametrize("cell", [1, 3, 8, 40])
@pytest.mark.parametrize("reach", [0, 2])
@pytest.mark.parametrize(("channels", "heads"), [(24, 1), (52, 2), (96, 4)])
def test_windows_give_what_they_give_in_torch(kernels, cell, reach, channels, heads):
    block, x, prior = block_of(channels, heads), map_of(channels, 41, 70, batch=2), torch.rand(2, 16) + 0.5
    windows = Statistics(Windows(2 * cell, reach))

    found = blocks_of(kernels).attend(block, x, prior, windows, 2)

    assert_same_change(kernels, x, found, TorchBlocks(500).attend(block, x.clone(), prior, windows, 2))


def test_photos_of_a_batch_do_not_influence_each_other(kernels):
    block, x, prior = block_of(32, 1), map_of(32, 20, 20, batch=3), torch.rand(3, 16) + 0.5
    blocks = blocks_of(kernels)

    found = blocks.attend(block, x, prior, Statistics(), 1)

    alone = [blocks_of(kernels).attend(block, x[i : i + 1], prior[i : i + 1], Statistics(), 1) for i in range(3)]
    assert_same_change(kernels, x, found, torch.cat(alone))


def test_results_do_not_depend_on_the_number_of_threads(kernels):
    block, x, prior, before = block_of(48, 1), map_of(48, 150, 140), torch.rand(1, 16) + 0.5, torch.get_num_threads()
    results = []

    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            attended = blocks_of(kernels).attend(block, x, prior, Statistics(), 1)
            results.append(blocks_of(kernels).feed(block, attended, prior))
    finally:
        torch.set_num_threads(before)

    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_recorded_sums_are_used_again(kernels):
    block, x, prior, recorded = block_of(32, 2), map_of(32, 30, 30), torch.rand(1, 16) + 0.5, RecordedStatistics()
    first = blocks_of(kernels).attend(block, x, prior, recorded, 1)
    recorded.is_replaying = True

    again = blocks_of(kernels).attend(
        block, x[..., :12, :].contiguous(memory_format=torch.channels_last), prior, recorded, 1
    )

    assert torch.equal(again[..., :11, :], first[..., :11, :])


def test_two_maps_are_enough_for_all_blocks_of_a_level(kernels):
    block, x, prior, blocks = block_of(32, 2), map_of(32, 16, 16), torch.rand(1, 16), blocks_of(kernels)

    attended = blocks.attend(block, x, prior, Statistics(), 1)
    fed = blocks.feed(block, attended, prior)

    assert fed.data_ptr() == x.data_ptr() != attended.data_ptr()


def test_nan_in_a_map_stays_visible(kernels):
    block, x, prior = block_of(32, 1), map_of(32, 12, 12), torch.rand(1, 16)
    x[0, 3, 5, 5] = torch.nan

    assert blocks_of(kernels).feed(block, x, prior)[0, :, 4:7, 4:7].isnan().all()


def test_large_maps_are_gathered_in_many_squares_and_mixed_in_many_bands(kernels, monkeypatch):
    block, x, prior = block_of(48, 2), map_of(48, 70, 200), torch.rand(1, 16) + 0.5
    windows = Statistics(Windows(8, 1))
    whole = blocks_of(kernels).attend(block, x, prior, windows, 1)
    monkeypatch.setattr(native_blocks, "_MIXING_BYTES", 1)
    monkeypatch.setattr(native_blocks, "_MOST_SUMS", 2)

    assert torch.equal(blocks_of(kernels).attend(block, x, prior, windows, 1), whole)
    expected = x + block.attn(block.norm1(x, block.attn.modulation(prior)))
    assert_same_change(kernels, x, blocks_of(kernels).attend(block, x, prior, Statistics(), 1), expected)


def test_sums_over_a_large_cell_keep_their_digits(kernels):
    block, prior = block_of(16, 1), torch.rand(1, 16) + 0.5
    x = map_of(16, 512, 512)
    network = PackedNetwork(kernels)
    expansion = NativeBlocks(network)._expansion(
        block.norm1, *block.norm1.fold(block.attn.modulation(prior)), 0, network.layers(block).query_key
    )

    one, many = (kernels.sums(x[0].permute(1, 2, 0), expansion, 1, (side, side))[1] for side in (512, 32))

    torch.testing.assert_close(one, many.sum(dim=(0, 1), keepdim=True), rtol=1e-5, atol=0)


def test_two_threads_restore_with_one_packed_network(kernels):
    block, network = block_of(48, 2), PackedNetwork(kernels)
    photos = [(map_of(48, 64, 64), torch.rand(1, 16) + 0.5) for _ in range(12)]

    def attend(x: Tensor, prior: Tensor) -> Tensor:
        return NativeBlocks(network).attend(block, x, prior, Statistics(), 1)

    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(attend, *zip(*photos, strict=True)))

    assert all(torch.equal(found, attend(*photo)) for found, photo in zip(together, photos, strict=True))
