"""Training noise has the given strength, is drawn for each image, and is repeatable."""

import pytest
import torch

from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError

GREY = torch.full((4, 3, 128, 128), 0.5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(images, seed=0, **settings):
    return build_recipe([{"type": "gaussian_noise", **settings}])(images, seeded(seed))


def test_sigma_is_in_units_of_one_in_255():
    noise = noisy(GREY, sigma=[25, 25]) - GREY

    assert noise.std().item() * 255 == pytest.approx(25, rel=0.01)
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)


def test_every_image_draws_its_own_sigma_from_the_range():
    strengths = (noisy(GREY, sigma=[5, 50]) - GREY).std(dim=(1, 2, 3)) * 255

    assert len({round(value.item()) for value in strengths}) == 4
    assert 4.8 < strengths.min() < strengths.max() < 51


def test_noise_is_not_clipped():
    white = torch.ones(1, 3, 32, 32)

    assert noisy(white, sigma=[25, 25]).max() > 1


def test_equal_generators_give_equal_noise():
    first = noisy(GREY, seed=3, sigma=[0, 55])

    assert torch.equal(noisy(GREY, seed=3, sigma=[0, 55]), first)
    assert not torch.equal(noisy(GREY, seed=4, sigma=[0, 55]), first)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "gausian"}, "unknown degradation 'gausian'"),
        ({"type": "gaussian_noise"}, "'sigma' is missing"),
        ({"type": "gaussian_noise", "sigma": [0, 5], "sigm": 1}, "did you mean 'sigma'"),
        ({"type": "gaussian_noise", "sigma": [9, 5]}, "0 <= low <= high"),
        ({"type": "gaussian_noise", "sigma": 5}, "expected a list"),
    ],
)
def test_a_wrong_step_is_an_error_of_one_line(step, message):
    with pytest.raises(ConfigError, match=message):
        build_recipe([step])


@pytest.mark.parametrize(("gray_prob", "is_grey"), [(0, False), (1, True)])
@pytest.mark.parametrize(
    "step", [{"type": "gaussian_noise", "sigma": [20, 20]}, {"type": "poisson_noise", "scale": [1, 1]}]
)
def test_grey_noise_is_one_for_the_three_colours(step, gray_prob, is_grey):
    noise = build_recipe([{**step, "gray_prob": gray_prob}])(GREY, seeded()) - GREY

    assert torch.allclose(noise[:, 0], noise[:, 2], atol=1e-6) == is_grey


def test_the_variance_of_poisson_noise_is_proportional_to_the_light():
    ramp = (torch.arange(256.0) / 255).view(1, 1, 1, 256).expand(1, 3, 512, 256)

    noise = build_recipe([{"type": "poisson_noise", "scale": [2, 2]}])(ramp, seeded()) - ramp

    light, variance = ramp[0, 0, 0, 16:], noise[..., 16:].var(dim=(0, 1, 2))
    assert (variance / light).mean().item() == pytest.approx(2**2 / 256, rel=0.02)  # 256 levels: one photon each
    assert torch.corrcoef(torch.stack([light, variance]))[0, 1] > 0.98
