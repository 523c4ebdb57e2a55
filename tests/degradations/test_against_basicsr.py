"""Kernels, noise and sharpening of Real-ESRGAN equal those of BasicSR's own functions."""

import importlib.util

import numpy as np
import pytest
import torch

from diffir._basicsr import load_basicsr
from diffir.degradations.recipes import build_recipe
from diffir.degradations.shapes.kernels import bell_kernel, sinc_kernel

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("basicsr") is None, reason="basicsr is not installed (tools/install)"
)
IMAGE = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def degradations():
    load_basicsr()
    from basicsr.data import degradations

    return degradations


@pytest.mark.parametrize("size", [7, 21])
@pytest.mark.parametrize("sigma", [(0.3, 0.3), (2.0, 2.0), (3.0, 0.7)])
@pytest.mark.parametrize("angle", [0.0, 0.4, -2.1])
def test_gaussian_kernels(degradations, size, sigma, angle):
    expected = degradations.bivariate_Gaussian(size, *sigma, angle, isotropic=sigma[0] == sigma[1])

    assert np.allclose(bell_kernel(size, sigma, angle), expected, atol=1e-6)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.7, 4.0])
@pytest.mark.parametrize(
    ("family", "function"), [("generalized", "bivariate_generalized_Gaussian"), ("plateau", "bivariate_plateau")]
)
def test_generalised_and_plateau_kernels(degradations, family, function, beta):
    expected = getattr(degradations, function)(15, 2.5, 0.8, 0.6, beta, isotropic=False)

    assert np.allclose(bell_kernel(15, (2.5, 0.8), 0.6, family=family, beta=beta), expected, atol=1e-6)


@pytest.mark.parametrize("size", [7, 13, 21])
@pytest.mark.parametrize("cutoff", [np.pi / 5, 1.9, np.pi])
def test_sinc_kernels(degradations, size, cutoff):
    assert np.allclose(sinc_kernel(size, cutoff), degradations.circular_lowpass_kernel(cutoff, size), atol=1e-6)


@pytest.mark.parametrize("gray", [0, 1])
@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_noise_is_as_strong_everywhere_and_as_grey(degradations, kind, gray):
    image = torch.tensor([0.1, 0.5, 0.9])[None, :, None, None] * torch.linspace(0.2, 1, 128).view(1, 1, 1, 128)
    image = image.expand(1, 3, 256, 128).contiguous()
    settings = {"gaussian": {"sigma": [20, 20]}, "poisson": {"scale": [2, 2]}}[kind]
    random = {"gaussian": (20,), "poisson": (2.0,)}[kind]
    torch.manual_seed(0)

    ours = build_recipe([{"type": f"{kind}_noise", "gray_prob": gray, **settings}])(
        image, torch.Generator().manual_seed(0)
    )
    theirs = getattr(degradations, f"add_{kind}_noise_pt")(image, *random, clip=False, gray_noise=gray)

    for noise in (ours - image, theirs - image):
        assert bool((noise[:, 0] - noise[:, 2]).abs().max() < 1e-5) == bool(gray)
    columns = [(noisy - image).view(1, 3, 256, 8, 16).std(dim=(0, 2, 4)) for noisy in (ours, theirs)]
    assert torch.allclose(*columns, rtol=0.1)


def test_sharpening(degradations):
    from basicsr.utils.img_process_util import USMSharp

    ours = build_recipe([{"type": "usm_sharpen"}])(IMAGE, torch.Generator())

    assert torch.allclose(ours, USMSharp()(IMAGE), atol=2e-5)
