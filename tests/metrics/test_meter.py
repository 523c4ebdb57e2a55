"""Metrics by name: which are loaded, which arguments each gets, and which are skipped."""

import sys

import numpy as np
import pytest

from diffir.errors import ImageError, UsageError, WeightsError
from diffir.metrics.fidelity import psnr
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import METRICS, LoadedMetrics, get_metrics, measure

AT_HAND = [row for row in METRICS.values() if not row.needs_weights]
OF_PAIRS = [row for row in AT_HAND if row.needs_reference]
MASK = np.indices((40, 48)).sum(axis=0) % 3 == 0
EACH_OF_PAIRS = pytest.mark.parametrize("metric", OF_PAIRS, ids=lambda metric: metric.name)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Make both caches empty, and hide pyiqa."""
    monkeypatch.setenv("DIFFIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setitem(sys.modules, "pyiqa", None)


def pair(channels: int = 3, noise: float = 20) -> tuple[np.ndarray, np.ndarray]:
    """Return a coarse image with noise, and the clean image."""
    rng = np.random.default_rng(0)
    gt = np.kron(rng.integers(0, 256, (10, 12, channels)), np.ones((4, 4, 1))).astype(np.uint8)
    return np.clip(gt + rng.normal(0, noise, gt.shape), 0, 255).astype(np.uint8), gt


def score(name: str, restored: np.ndarray, gt: np.ndarray, protocol: Protocol = Protocol()) -> float:  # noqa: B008
    return LoadedMetrics.prepare([name]).measure(restored, gt, protocol, data_range=255, mask=MASK)[name]


@EACH_OF_PAIRS
def test_an_image_with_itself_gets_the_best_score(metric):
    smooth = np.mgrid[0:40, 0:48].sum(axis=0).astype(np.uint8)[..., None].repeat(3, axis=2)  # PSNR-B counts its blocks

    assert score(metric.name, smooth, smooth) == pytest.approx(metric.best)


@EACH_OF_PAIRS
def test_a_noisier_image_scores_worse_and_within_the_range(metric):
    scores = [score(metric.name, *pair(noise=noise)) for noise in (5, 20, 60)]

    assert scores == sorted(scores, reverse=metric.higher_is_better)
    assert len(set(scores)) == 3
    assert all(metric.range[0] <= value <= metric.range[1] for value in scores)


@EACH_OF_PAIRS
def test_grey_images_can_be_scored(metric):
    restored, gt = pair(channels=1)

    assert score(metric.name, restored, gt) == score(metric.name, restored[..., 0], gt[..., 0])


@EACH_OF_PAIRS
def test_nothing_in_the_border_counts(metric):
    restored, gt = pair()
    other = restored.copy()
    other[:4], other[:, -4:] = 0, 255
    protocol = Protocol(crop_border=4)

    assert score(metric.name, other, gt, protocol) == score(metric.name, restored, gt, protocol)


def test_the_border_is_cut_from_the_mask_as_from_the_image():
    restored, gt = pair()
    mask = np.zeros(gt.shape[:2], bool)
    mask[:20, :20] = True

    scores = LoadedMetrics.prepare(["psnr_hole"]).measure(
        restored, gt, Protocol(crop_border=4), data_range=255, mask=mask
    )

    assert scores["psnr_hole"] == psnr(restored[4:20, 4:20], gt[4:20, 4:20])


@EACH_OF_PAIRS
def test_luma_is_for_metrics_that_follow_the_protocol(metric):
    (restored, gt), luma = pair(), Protocol(test_y_channel=True)

    same = score(metric.name, restored, gt, luma) == score(metric.name, restored, gt)

    assert same == (metric.sees == "rgb")


def test_perceptual_metrics_take_grey_as_three_equal_channels():
    grey = pair(channels=1)
    colour = [image.repeat(3, axis=2) for image in grey]

    assert score("lpips", *grey) == score("lpips", *colour)


def test_every_row_states_its_facts():
    for row in METRICS.values():
        assert row.best == row.range[row.higher_is_better]
        assert row.definition and ";" not in row.definition  # joined by it in the protocol line
        assert ("↑" in row.heading) == row.higher_is_better


def test_headings_show_direction_and_unit():
    assert [row.heading for row in get_metrics(["psnr", "ssim", "fid"])] == ["PSNR ↑ dB", "SSIM ↑", "FID ↓"]


def test_other_names_of_the_field_are_known_and_merged():
    assert [row.name for row in get_metrics(["psnrb", "lpips_squeeze", "lpips"])] == ["psnr_b", "lpips"]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["pnsr"], "unknown metric 'pnsr'; did you mean 'psnr'"), (["qwxz"], "known: psnr, ssim"), ([], "no metric")],
)
def test_unknown_names_are_refused_with_the_nearest(names, message):
    with pytest.raises(UsageError, match=message):
        LoadedMetrics.prepare(names)


def test_what_is_missing_is_skipped_with_its_place_and_address_and_the_rest_works(tmp_path):
    meter = LoadedMetrics.prepare(["lpips_alex", "psnr", "fid", "pyiqa:musiq"])

    assert meter.names == ["psnr"]
    assert list(meter.skipped) == ["lpips_alex", "fid", "pyiqa:musiq"]
    assert str(tmp_path / "cache" / "alexnet-owt-7be5be79.pth") in meter.skipped["lpips_alex"]
    assert "https://github.com/mseitzer/pytorch-fid/releases" in meter.skipped["fid"]
    assert "pip install -c constraints.txt -e '.[pyiqa]'" in meter.skipped["pyiqa:musiq"]
    assert not any("\n" in reason for reason in meter.skipped.values())
    assert list(meter.measure(*pair(), Protocol(), data_range=255)) == ["psnr"]


def test_a_file_that_no_metric_takes_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no metric takes a weight file 'alexnt'; did you mean 'alexnet'"):
        LoadedMetrics.prepare(["psnr"], files={"alexnt": tmp_path})


def test_a_file_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "page.pth").write_text("<html>not found</html>")

    with pytest.raises(WeightsError, match=r"page\.pth is not a file of torch\.save"):
        LoadedMetrics.prepare(["fid"], files={"inception": tmp_path / "page.pth"})


def test_without_a_ground_truth_only_metrics_that_need_none_can_be_taken():
    photo = np.random.default_rng(0).integers(0, 256, (96, 192, 3), np.uint8)

    assert list(LoadedMetrics.prepare(["niqe"]).measure(photo, None, Protocol(), data_range=255)) == ["niqe"]
    with pytest.raises(UsageError, match="psnr needs a ground truth; without one: niqe"):
        LoadedMetrics.prepare(["niqe", "psnr"]).measure(photo, None, Protocol(), data_range=255)


def test_a_metric_of_holes_without_a_mask_is_refused():
    with pytest.raises(UsageError, match="psnr_hole needs a mask"):
        LoadedMetrics.prepare(["psnr_hole"]).measure(*pair(), Protocol(), data_range=255)


@pytest.mark.parametrize("mask", [MASK[:-1], MASK.astype(np.uint8)])
def test_a_mask_that_does_not_fit_is_refused(mask):
    with pytest.raises(ImageError, match=r"the mask must be bool of shape \(40, 48\)"):
        LoadedMetrics.prepare(["psnr_hole"]).measure(*pair(), Protocol(), data_range=255, mask=mask)


@pytest.mark.parametrize(
    ("name", "message"), [("fid", "of whole sets"), ("dists", "cannot be computed: vgg16 was not")]
)
def test_one_call_for_one_image_refuses_what_it_cannot_take(name, message):
    with pytest.raises(UsageError, match=message):
        measure(*pair(), ["psnr", name], Protocol(), data_range=255)


def test_pyiqa_is_asked_only_where_it_may_fetch_weights(monkeypatch, tmp_path):
    (tmp_path / "pyiqa.py").write_text(
        "def create_metric(name, device): return {'musiq': lambda image: image.max()}[name]"
    )
    monkeypatch.delitem(sys.modules, "pyiqa")
    monkeypatch.syspath_prepend(tmp_path)

    assert "allow downloads" in LoadedMetrics.prepare(["pyiqa:musiq"]).skipped["pyiqa:musiq"]
    assert "pyiqa" not in sys.modules

    scores = LoadedMetrics.prepare(["pyiqa:musiq"], download=True).measure(pair()[1], None, Protocol(), data_range=255)
    assert scores == {"pyiqa:musiq": pytest.approx(pair()[1].max() / 255)}
