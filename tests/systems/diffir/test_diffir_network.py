"""Tests of the network of every row of the task table."""

from dataclasses import replace

import pytest
import torch

from diffir.errors import ConfigError
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.tasks import TASKS, get_task
from tests.diffir_objects import empty_diffir

# Numbers of parameters in the reference networks: DIRformer, CPEN and denoiser of stage 2, and all of stage 1.
OFFICIAL_COUNTS = {
    "sr_x4": (24801478, 23459142, 1314688, 197376),
    "realsr_x4": (24801478, 23459142, 1314688, 197376),
    "sr_x2": (24811846, 23464326, 1319872, 197376),
    "realsr_x2": (24811846, 23464326, 1319872, 197376),
    "realsr_x1": (24853318, 23485062, 1340608, 197376),
    "deblur": (26742206, 25669374, 1045184, 197376),
    "inpaint": (26232746, 25150698, 1054400, 197376),
    "inpaint_big": (49313194, 48009578, 1275968, 197376),
}


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(row: str) -> ArchSettings:
    """The settings of a row, but with few and narrow blocks."""
    return replace(
        TASKS[row].arch, dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, cpen_blocks=1, prior_width=32
    )


@pytest.fixture
def network(request) -> DiffIR:
    torch.manual_seed(0)
    return DiffIR(small(getattr(request, "param", "deblur")), 2).eval()


@pytest.mark.parametrize("row", OFFICIAL_COUNTS)
def test_official_rows_have_exactly_the_published_number_of_parameters(row):
    stage_1, stage_2 = empty_diffir(TASKS[row].arch, 1), empty_diffir(TASKS[row].arch, 2)

    counts = (count(stage_1), count(stage_2.dirformer), count(stage_2.cpen), count(stage_2.denoiser))

    assert counts == OFFICIAL_COUNTS[row]


def test_every_official_row_is_counted():
    assert set(OFFICIAL_COUNTS) == {name for name, task in TASKS.items() if task.official}


@pytest.mark.parametrize("network", TASKS, indirect=True)
@torch.no_grad()
def test_the_output_is_scale_times_as_large_as_lq(network):
    settings = network.settings
    height, width = settings.multiple_of, 2 * settings.multiple_of

    out = network(torch.rand(2, settings.in_channels, height, width), noise=torch.zeros(2, 32))

    assert out.shape == (2, 3, settings.scale * height, settings.scale * width)


@pytest.mark.parametrize("row", TASKS)
@torch.no_grad()
def test_stage_1_takes_a_clean_image_scale_times_as_large(row):
    settings = small(row)
    side = settings.multiple_of

    lq, gt = (
        torch.rand(1, settings.in_channels, side, side),
        torch.rand(1, 3, side * settings.scale, side * settings.scale),
    )

    assert DiffIR(settings, 1).oracle_prior(lq, gt).shape == (1, 32)


@pytest.mark.parametrize("network", ["deblur", "realsr_x2", "denoise_tiny"], indirect=True)
def test_sides_that_are_no_multiple_fail_instead_of_bending(network):
    side = network.settings.multiple_of

    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, side + side // 2, side))


@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(network):
    lq, noise = torch.rand(2, 3, 32, 32), torch.randn(2, 32)

    together = network(lq, noise=noise)
    alone = network(lq[1:], noise=noise[1:])

    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_prior_steers_the_restoration(network):
    lq = torch.rand(1, 3, 32, 32)

    outputs = [network.restore(lq, torch.full((1, 32), value)) for value in (0.5, 1.0)]

    assert (outputs[0] - outputs[1]).abs().max() > 1e-4


@torch.no_grad()
def test_one_seed_means_one_prior(network):
    lq = torch.rand(1, 3, 32, 32)

    priors = [network.estimate_prior(lq, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]

    assert torch.equal(priors[0], priors[1])
    assert not torch.equal(priors[0], priors[2])


@torch.no_grad()
def test_without_learnt_output_a_deblurring_network_returns_its_input(network):
    lq = torch.rand(1, 3, 32, 32)
    network.dirformer.output.weight.zero_()

    assert torch.equal(network(lq), lq)


@pytest.mark.parametrize("network", ["inpaint"], indirect=True)
@torch.no_grad()
def test_without_learnt_output_an_inpainting_network_returns_nothing(network):
    network.dirformer.output.weight.zero_()

    assert network(torch.rand(1, 4, 32, 32)).abs().max() == 0


@pytest.mark.parametrize("network", ["sr_x4"], indirect=True)
@torch.no_grad()
def test_without_learnt_output_super_resolution_repeats_pixels(network):
    lq = torch.rand(1, 3, 8, 8)
    network.dirformer.output.output.weight.zero_()
    network.dirformer.output.output.bias.zero_()

    assert torch.equal(network(lq), lq.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))


@torch.no_grad()
def test_channels_last_memory_changes_no_pixel(network):
    lq, noise = torch.rand(1, 3, 32, 32), torch.randn(1, 32)

    expected = network(lq, noise=noise)
    found = network.to(memory_format=torch.channels_last)(lq.to(memory_format=torch.channels_last), noise=noise)

    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_prior_loss_alone_teaches_only_cpen_and_the_denoiser(network):
    network.estimate_prior(torch.rand(1, 3, 32, 32)).sum().backward()

    taught = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}

    assert taught == {"cpen", "denoiser"}


def test_settings_survive_plain_types():
    for task in TASKS.values():
        assert ArchSettings.from_dict(task.arch.to_dict()) == task.arch


@pytest.mark.parametrize(
    "wrong",
    [{"num_blocks": (1, 1)}, {"prior_width": 30}, {"dim": 9, "heads": (2, 2, 2, 2)}, {"hole_fill": "membrane"}],
)
def test_settings_that_make_no_network_are_refused(wrong):
    with pytest.raises(ConfigError):
        ArchSettings(**wrong)


@pytest.mark.parametrize("task", ["denoise_tiny", "derain_small", "deblur"])
def test_the_oracle_prior_of_a_new_network_varies_from_image_to_image(task):
    settings = get_task(task).arch
    torch.manual_seed(0)
    dark_to_bright = torch.linspace(0.1, 0.9, 4)[:, None, None, None]
    images = (dark_to_bright + 0.1 * torch.rand(4, 3, 64, 64)).clamp(0, 1)

    with torch.no_grad():
        priors = DiffIR(settings, stage=1).oracle_prior(images, images)

    assert priors.std(dim=0).mean() > 0.05  # with torch's default initialisation: 0.001
    assert 0.7 < priors.mean() < 1.5
