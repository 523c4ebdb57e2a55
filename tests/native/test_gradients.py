"""The compiled backward passes give the gradients that torch computes for the same network."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from diffir.native.gradients import find_gradient_kernels
from diffir.systems.diffir import ArchSettings, DiffIR, fused_block
from diffir.systems.diffir.dirformer import Block, Level
from diffir.systems.diffir.tasks import TASKS

ROWS = (
    "denoise_small",
    "photo_small",
    "sr_x4_small",
    "sr_x2_small",
    "inpaint_small",
    "deblur_small",
    "sr_x4",
    "deblur",
)
# channels, heads, norm, expansion: whole vectors, parts of vectors, heads that end within a vector
BLOCKS = [
    (48, 1, "with_bias", 2.0),
    (24, 4, "bias_free", 2.2),
    (52, 2, "bias_free", 1.8),
    (42, 6, "with_bias", 2.66),
    (6, 1, "with_bias", 1.0),
    (16, 16, "bias_free", 2.0),
]
# batch, height, width: one pixel, one row, several bands of rows, rows longer than a batch of pending pixels, and
# images so low that several are summed together
MAPS = [(1, 1, 1), (2, 1, 9), (1, 9, 1), (2, 19, 23), (1, 70, 33), (1, 5, 100), (5, 12, 7)]
TOLERANCE = 1e-4

pytestmark = pytest.mark.skipif(find_gradient_kernels() is None, reason="the compiled kernels were not built here")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def torch_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_block, "find_gradient_kernels", lambda: None)
        yield


def vary(module: torch.nn.Module) -> None:
    """Move all parameters, since with ones and zeros exchanged parameters would not be noticed."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def block_of(channels: int, heads: int, norm: str, expansion: float) -> Block:
    block = Block(channels, heads, ArchSettings(norm=norm, ffn_expansion=expansion, prior_width=16))
    vary(block)
    return block


def gradients(block: Block, x: Tensor, prior: Tensor, upstream: Tensor) -> dict[str, Tensor]:
    """The result of a block, and its gradients by all parameters, the map and the prior."""
    x, prior = x.clone().requires_grad_(), prior.clone().requires_grad_()
    block.zero_grad()
    result = block(x, prior)
    result.backward(upstream)
    assert x.grad is not None and prior.grad is not None
    found = {name: parameter.grad.clone() for name, parameter in block.named_parameters()}
    return {"result": result.detach(), "map": x.grad, "prior": prior.grad, **found}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = TOLERANCE) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        error = (found[name].double() - value.double()).abs().max()
        assert error <= tolerance * value.abs().max() + 1e-12, name


def case(block: tuple[int, int, str, float], size: tuple[int, int, int]) -> tuple[Block, Tensor, Tensor, Tensor]:
    batch, height, width = size
    maps = [torch.randn(batch, block[0], height, width).to(memory_format=torch.channels_last) for _ in range(2)]
    return block_of(*block), maps[0], torch.rand(batch, 16) + 0.5, maps[1]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_gradients_of_a_block_equal_those_of_torch_in_fp64(block: tuple[int, int, str, float]) -> None:
    network, *tensors = case(block, (2, 19, 23))
    found = gradients(network, *tensors)

    expected = gradients(network.double(), *(tensor.double() for tensor in tensors))

    assert_equal(found, expected)


@pytest.mark.parametrize("size", MAPS, ids=str)
def test_maps_of_any_size_have_the_gradients_of_torch(size: tuple[int, int, int]) -> None:
    network, *tensors = case((24, 2, "with_bias", 2.0), size)
    found = gradients(network, *tensors)

    expected = gradients(network.double(), *(tensor.double() for tensor in tensors))

    assert_equal(found, expected)


@pytest.mark.parametrize("row", ROWS)
def test_every_kind_of_row_has_the_gradients_of_torch(row: str) -> None:
    settings = replace(TASKS[row].arch, dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, cpen_blocks=1)
    network = DiffIR(settings)
    vary(network)
    height, width = (side * settings.multiple_of for side in (3, 5))
    lq, noise = torch.rand(2, settings.in_channels, height, width), torch.randn(2, settings.prior_width)
    weights = torch.rand(2, 3, settings.scale * height, settings.scale * width)

    def found_by(network: DiffIR, *tensors: Tensor) -> dict[str, Tensor]:
        network.zero_grad()
        lq, noise, weights = tensors
        restored = network(lq, noise=noise)
        (restored * weights).mean().backward()
        found = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
        return {"result": restored.detach(), **found}

    assert_equal(
        found_by(network, lq, noise, weights), found_by(network.double(), *(t.double() for t in (lq, noise, weights)))
    )


def test_a_network_without_kernels_is_trained_by_torch_with_the_same_gradients(torch_alone: None) -> None:
    network, *tensors = case(BLOCKS[0], (2, 19, 23))

    expected = gradients(network, *tensors)

    assert not fused_block.is_possible(tensors[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_block, "find_gradient_kernels", find_gradient_kernels)
        assert_equal(gradients(network, *tensors), expected)


def test_a_block_may_be_left_to_torch() -> None:
    network, x, prior, _ = case(BLOCKS[0], (1, 8, 8))

    names = []
    for network.may_be_fused in (True, False):
        names.append(type(network(x, prior).grad_fn).__name__)

    assert names == ["FusedBlockBackward", "AddBackward0"]


def test_bits_depend_neither_on_the_run_nor_on_the_number_of_threads() -> None:
    network, *tensors = case(BLOCKS[2], (2, 70, 33))
    before, results = torch.get_num_threads(), []

    try:
        for threads in (1, 1, 2, 3):
            torch.set_num_threads(threads)
            results.append(gradients(network, *tensors))
    finally:
        torch.set_num_threads(before)

    assert all(torch.equal(value, other[name]) for other in results[1:] for name, value in results[0].items())


def test_under_autocast_the_block_computes_in_float32() -> None:
    network, *tensors = case(BLOCKS[0], (2, 19, 23))
    expected = gradients(network, *tensors)

    with torch.autocast("cpu", torch.bfloat16):
        x, prior, upstream = tensors
        found = gradients(network, x.bfloat16().float(), prior, upstream)
        half = network(x.bfloat16(), prior)

    assert half.dtype == torch.float32
    assert_equal(found, expected, tolerance=0.03)  # x was rounded to bf16


def test_gradients_of_checkpointed_blocks_are_the_same() -> None:
    level = Level(24, 2, 2, ArchSettings(prior_width=16))
    vary(level)
    x, prior = torch.randn(1, 24, 12, 12), torch.rand(1, 16) + 0.5
    found = []

    for level.keeps_activations in (True, False):
        level.zero_grad()
        level(x.requires_grad_(), prior).square().sum().backward()
        found.append({name: parameter.grad.clone() for name, parameter in level.named_parameters()})

    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_frozen_weights_let_the_gradient_of_the_prior_pass() -> None:
    network, x, prior, upstream = case(BLOCKS[0], (1, 12, 12))
    expected = gradients(network, x, prior, upstream)["prior"]
    network.zero_grad()
    network.requires_grad_(False)

    network(x, prior.requires_grad_()).backward(upstream)

    assert torch.equal(prior.grad, expected) and all(parameter.grad is None for parameter in network.parameters())


def test_a_second_derivative_is_an_error_that_says_so() -> None:
    network, x, prior, _ = case(BLOCKS[0], (1, 8, 8))
    result = network(x.requires_grad_(), prior).sum()

    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(result, x, create_graph=True)


def test_weights_changed_between_forward_and_backward_are_an_error() -> None:
    network, x, prior, upstream = case(BLOCKS[0], (1, 8, 8))
    result = network(x, prior)
    with torch.no_grad():
        network.ffn.project_in.weight.mul_(2)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.backward(upstream)
