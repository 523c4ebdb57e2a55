"""The comparison of two networks: its scores, its order of photos, its files."""

import json

import numpy as np
import pytest
import torch

from diffir.api import restorer_of
from diffir.evaluation import Sample
from diffir.image_io import read_image
from diffir.inference.restorer import Restorer
from diffir.metrics.protocol import Protocol
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from diffir.training.comparison import compare, write_report

TINY = get_task("denoise_tiny").arch


def network(seed: int, *, spoilt: float = 0.0) -> Restorer:
    torch.manual_seed(seed)
    made = DiffIR(TINY)
    with torch.no_grad():
        made.dirformer.output.output.weight.zero_()  # nothing is added to the input ...
        made.dirformer.output.output.bias.fill_(spoilt)  # ... but this
    return restorer_of(made, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    clean = [rng.integers(40, 200, (32, 32, 3)).astype(np.uint8) for _ in range(6)]
    samples = [
        Sample(f"p{n}", (gt / 255 + rng.normal(0, 0.02 * (n + 1), gt.shape)).astype(np.float32), gt)
        for n, gt in enumerate(clean)
    ]
    return compare(network(0, spoilt=0.1), network(0), samples, ["psnr", "ssim"], Protocol())


def test_the_gain_is_that_of_the_means(result):
    assert result.gain == pytest.approx(result.after.means["psnr"] - result.before.means["psnr"])
    assert result.gain > 1
    assert result.after.means["psnr"] == pytest.approx(result.input.means["psnr"], abs=0.01)


def test_photos_are_sorted_from_the_least_gain_to_the_most(result):
    gains = [after - before for _, _, before, after in result.scores_by_photo]

    assert gains == sorted(gains)


def test_the_report_holds_the_scores_and_a_picture(result, tmp_path):
    write_report(result, tmp_path, title="Fine-tuning", lines=["what was compared"])

    text = (tmp_path / "report.md").read_text("utf-8")
    assert f"| after | {result.after.means['psnr']:.2f} |" in text
    assert text.count("| p") == 7  # six photos and the head of their table
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["before"]["scores"]["psnr"]["mean"] > 0
    assert read_image(tmp_path / "before_after.png").pixels.shape == (4 * (32 + 8), 4 * 32, 3)
