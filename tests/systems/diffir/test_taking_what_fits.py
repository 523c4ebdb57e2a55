"""Tests of networks that start from the weights of another task."""

from dataclasses import replace

import pytest
import torch

from diffir.errors import WeightsError
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.partial_load import take_what_fits
from diffir.systems.diffir.tasks import get_task

TINY = get_task("denoise_tiny").arch


def pair(**changes) -> tuple[DiffIR, DiffIR]:
    """A network and a donor with other settings."""
    torch.manual_seed(0)
    return DiffIR(replace(TINY, **changes)), DiffIR(TINY)


def test_a_network_for_rgb_and_a_mask_starts_as_the_one_for_rgb_and_blind_to_the_mask():
    network, donor = pair(in_channels=4)
    image, prior = torch.rand(1, 3, 32, 32), torch.rand(1, TINY.prior_width)

    take_what_fits(network.dirformer, donor.dirformer)

    for mask in (torch.zeros(1, 1, 32, 32), torch.rand(1, 1, 32, 32)):
        masked = torch.cat([image, mask], dim=1)
        torch.testing.assert_close(network.restore(masked, prior), donor.restore(image, prior))


def test_parts_of_another_shape_or_name_keep_their_start():
    network, donor = pair(upsample=4, unshuffle=1, global_skip="nearest")
    before = {name: tensor.clone() for name, tensor in network.dirformer.state_dict().items()}

    take_what_fits(network.dirformer, donor.dirformer)

    taken, theirs = network.dirformer.state_dict(), donor.dirformer.state_dict()
    own = {"patch_embed.weight"} | {name for name in taken if name not in theirs}
    assert any(name.startswith("output.upsample.1") for name in own)
    assert all(torch.equal(taken[name], before[name] if name in own else theirs[name]) for name in taken)


def test_a_network_with_more_blocks_starts_as_its_donor():
    network, donor = pair(num_blocks=(2, 1, 1, 3), num_refinement_blocks=3)
    image, prior = torch.rand(1, 3, 32, 32), torch.rand(1, TINY.prior_width)

    take_what_fits(network.dirformer, donor.dirformer)

    torch.testing.assert_close(network.restore(image, prior), donor.restore(image, prior))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [({}, {"in_channels": 4}), ({}, {"unshuffle": 1, "upsample": 1}), ({"in_channels": 4, "unshuffle": 1}, {})],
    ids=["fewer channels", "finer grid", "coarser grid"],
)
def test_an_input_whose_channels_mean_something_else_keeps_its_start(ours, theirs):
    network, donor = DiffIR(replace(TINY, **{"upsample": 2, **ours})), DiffIR(replace(TINY, **theirs))
    before = network.dirformer.patch_embed.weight.clone()

    take_what_fits(network.dirformer, donor.dirformer)

    assert torch.equal(network.dirformer.patch_embed.weight, before)


def test_weights_of_which_nothing_fits_are_refused():
    other = replace(
        TINY, dim=16, heads=(2, 4, 8, 16), norm="bias_free", prior_width=64, ffn_expansion=3.0, out_channels=1
    )

    with pytest.raises(WeightsError, match="no part of these weights fits"):
        take_what_fits(DiffIR(other).dirformer, DiffIR(TINY).dirformer)
