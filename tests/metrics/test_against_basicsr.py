"""The convention ``basicsr`` gives the same scores as the functions of basicsr."""

import importlib.util

import numpy as np
import pytest

from diffir._basicsr import load_basicsr
from diffir.errors import MissingDependency
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import measure

installed = importlib.util.find_spec("basicsr") is not None


@pytest.mark.skipif(not installed, reason="basicsr is not installed (tools/install)")
@pytest.mark.parametrize(("crop_border", "test_y_channel"), [(0, False), (4, False), (4, True)])
def test_psnr_and_ssim_equal_basicsr(crop_border, test_y_channel):
    load_basicsr()
    from basicsr.metrics import calculate_psnr, calculate_ssim

    rng = np.random.default_rng(0)
    gt = rng.integers(0, 256, (48, 56, 3)).astype(np.uint8)
    restored = np.clip(gt + rng.normal(0, 20, gt.shape), 0, 255).astype(np.uint8)

    ours = measure(restored, gt, ("psnr", "ssim"), Protocol(crop_border, test_y_channel), data_range=255)

    bgr = (restored[..., ::-1].copy(), gt[..., ::-1].copy())
    arguments = {"crop_border": crop_border, "test_y_channel": test_y_channel}
    assert ours["psnr"] == pytest.approx(calculate_psnr(*bgr, **arguments), abs=1e-4)
    assert ours["ssim"] == pytest.approx(calculate_ssim(*bgr, **arguments), abs=1e-5)


@pytest.mark.skipif(installed, reason="basicsr is installed")
def test_without_basicsr_the_message_holds_the_pip_line():
    with pytest.raises(MissingDependency, match=r"pip install .* '\.\[basicsr\]'"):
        load_basicsr()
