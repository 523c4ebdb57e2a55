"""Bicubic enlargement of Set5 gets the published scores, and the known scores of other conventions."""

from pathlib import Path

import pytest

from diffir.baselines.baseline_table import BASELINES, get_baseline
from diffir.data.cards.cards import find_images, load_card
from diffir.evaluation import BicubicDownscale, evaluate
from diffir.image_io import read_image
from diffir.metrics.protocol import Protocol


def bicubic_on_set5(shared: Path, scale: int, low_resolution: str, protocol: Protocol) -> tuple[float, float]:
    test = BicubicDownscale(scale, low_resolution)
    files = find_images(load_card("set5"), shared / "data" / "eval")
    method = get_baseline(f"bicubic_x{scale}")
    samples = (test(file.name, read_image(file.gt).pixels) for file in files)
    means = evaluate(lambda sample: method.restore(sample.lq), samples, ["psnr", "ssim"], protocol).means
    return means["psnr"], means["ssim"]


# Dong et al., "Learning a deep convolutional network for image super-resolution", 2014, and every table since
@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(2, 33.6614, 0.9299), (3, 30.3922, 0.8682), (4, 28.4207, 0.8104)])
def test_the_published_rows(shared: Path, scale: int, psnr: float, ssim: float) -> None:
    scores = bicubic_on_set5(shared, scale, "y_float", BASELINES[f"bicubic_x{scale}"].protocol)

    assert scores == pytest.approx((psnr, ssim), abs=6e-5)


@pytest.mark.parametrize(
    ("protocol", "psnr", "ssim"),
    [
        (Protocol(crop_border=4, test_y_channel=True), 28.4305, 0.8113),
        (Protocol(crop_border=4, test_y_channel=True, convention="matlab"), 28.4176, 0.8102),
        (Protocol(crop_border=4), 26.6947, 0.7734),
    ],
    ids=str,
)
def test_the_rows_of_8_bit_input(shared: Path, protocol: Protocol, psnr: float, ssim: float) -> None:
    # BasicSR's tables; the PSNR were measured with basicsr and scikit-image on the published LR files
    assert bicubic_on_set5(shared, 4, "rgb8", protocol) == pytest.approx((psnr, ssim), abs=6e-5)
