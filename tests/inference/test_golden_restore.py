"""Restored files must equal those of the reference implementation when both use its start noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.npyio import NpzFile

from diffir.api import restorer_of
from diffir.inference.restorer import Restorer
from diffir.systems.diffir.released import read_official
from tests.diffir_objects import filled_diffir


def restorer_and_reference(shared: Path, name: str) -> tuple[Restorer, NpzFile, torch.Tensor]:
    """The reference network, its recorded inputs and outputs, and the prior that it used."""
    weights, golden = (np.load(shared / "reference" / "golden" / f"{name}_{kind}.npz") for kind in ("s2", "infer"))
    state = {key[3:]: torch.from_numpy(weights[key]) for key in weights.files if key.startswith("sd/")}
    official = read_official(state, name)
    network = filled_diffir(official.state, official.settings, official.stage, name)
    padded = golden["net_input"] if official.settings.has_mask else golden["padded"]
    prior = network.estimate_prior(torch.from_numpy(padded), noise=torch.from_numpy(golden["noise"]))
    return restorer_of(network, name=name, device="cpu", precision="fp32"), golden, prior


@pytest.mark.parametrize("name", ["deblur", "srgan_x4", "realsr_x1"])
def test_restored_files_equal_the_reference(shared: Path, name: str) -> None:
    restorer, golden, prior = restorer_and_reference(shared, name)

    restored = restorer.restore(golden["img_rgb_u8"], prior=prior)

    difference = np.abs(restored.astype(int) - golden["out_rgb_u8"])
    assert difference.max() <= 1  # kernels of another machine may round a value to its neighbour
    assert (difference > 0).mean() < 1e-3


def test_inpainted_images_equal_the_reference(shared: Path) -> None:
    restorer, golden, prior = restorer_and_reference(shared, "inpainting")
    image, mask = golden["img_rgb_u8"], golden["mask_u8"]

    restored = restorer.restore(image / np.float32(255), mask, prior=prior)

    height, width = mask.shape  # compare before rounding, because upstream truncates and we round
    expected = golden["inpainted"][0, :, :height, :width].clip(0, 1).transpose(1, 2, 0)
    np.testing.assert_allclose(restored, expected, atol=1e-5)


def test_padding_before_the_prior_equals_the_reference(shared: Path) -> None:
    restorer, golden, _ = restorer_and_reference(shared, "realsr_x1")
    lq = torch.from_numpy(golden["img_rgb_u8"]).permute(2, 0, 1)[None] / 255

    priors = [restorer.estimate_prior(image) for image in (lq, torch.from_numpy(golden["padded"]))]

    assert torch.equal(*priors)
