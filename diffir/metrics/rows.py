"""The list of all metrics: one row for each, with all its properties. A new metric is one more row.

``table`` computes metrics from these rows. This module needs neither torch nor weights: the module that implements a
metric is imported when the metric is loaded.
"""

from collections.abc import Callable
from math import inf

from diffir.extensions import Extended
from diffir.metrics.blocking import psnr_b
from diffir.metrics.fidelity import psnr, psnr_hole, ssim, ssim_3d, ssim_hole
from diffir.metrics.metric import Metric, Paths, Score, SetDistance

Load = Callable[[Paths, str], Score | SetDistance]


def _at_once(score: Score) -> Load:
    """Return a loader for a function that needs no weights."""
    return lambda paths, device: score


def _niqe(paths: Paths, device: str) -> Score:
    from diffir.metrics.niqe import niqe

    return niqe


def _lpips(paths: Paths, device: str) -> Score:
    from diffir.metrics.lpips import load_squeezenet

    return load_squeezenet(paths, device)


def _lpips_alex(paths: Paths, device: str) -> Score:
    from diffir.metrics.lpips import load_alexnet

    return load_alexnet(paths, device)


def _lpips_vgg(paths: Paths, device: str) -> Score:
    from diffir.metrics.lpips import load_vgg16

    return load_vgg16(paths, device)


def _dists(paths: Paths, device: str) -> Score:
    from diffir.metrics.dists import load

    return load(paths, device)


def _fid(paths: Paths, device: str) -> SetDistance:
    from diffir.metrics.fid import load

    return load(paths, device)


def _pyiqa(name: str) -> Load:
    """Return a loader for a metric of pyiqa."""

    def load_it(paths: Paths, device: str) -> Score:
        from diffir.metrics.pyiqa import load

        return load(name, device)

    return load_it


def _pyiqa_row(name: str, best: float, lowest: float, highest: float, paper: str) -> Metric:
    """Return the row of a no-reference metric of pyiqa, whose best score is one end of its range."""
    return Metric(
        name=f"pyiqa:{name}",
        title=f"{name} (pyiqa)",
        load=_pyiqa(name),
        higher_is_better=best == highest,
        best=best,
        range=(lowest, highest),
        digits=3,
        definition=f"{name} of pyiqa ({paper}), RGB",
        sees="rgb",
        needs_reference=False,
        package="pyiqa",
    )


_ROWS = (
    Metric(
        name="psnr",
        title="PSNR",
        load=_at_once(psnr),
        higher_is_better=True,
        unit="dB",
        best=inf,
        range=(0.0, inf),
        digits=2,
        definition="PSNR over all channels at once",
    ),
    Metric(
        name="ssim",
        title="SSIM",
        load=_at_once(ssim),
        higher_is_better=True,
        best=1.0,
        range=(-1.0, 1.0),
        digits=4,
        definition="SSIM 11x11 Gaussian, sigma 1.5, valid area, mean of channels",
    ),
    Metric(
        name="ssim_3d",
        title="SSIM 3-D",
        load=_at_once(ssim_3d),
        higher_is_better=True,
        best=1.0,
        range=(-1.0, 1.0),
        digits=4,
        definition="SSIM 3-D 11x11x11 Gaussian over rows, columns and channels, sigma 1.5, edges repeated, whole image",
        aliases=("ssim3d",),
    ),
    Metric(
        name="psnr_b",
        title="PSNR-B",
        load=_at_once(psnr_b),
        higher_is_better=True,
        unit="dB",
        best=inf,
        range=(-inf, inf),
        digits=2,
        definition="PSNR-B 8x8 grid from the corner, blocking effect of the restored image, mean of channels",
        aliases=("psnrb",),
    ),
    Metric(
        name="psnr_hole",
        title="PSNR hole",
        load=_at_once(psnr_hole),
        higher_is_better=True,
        unit="dB",
        best=inf,
        range=(0.0, inf),
        digits=2,
        definition="PSNR hole over the missing pixels alone",
        needs_mask=True,
    ),
    Metric(
        name="ssim_hole",
        title="SSIM hole",
        load=_at_once(ssim_hole),
        higher_is_better=True,
        best=1.0,
        range=(-1.0, 1.0),
        digits=4,
        definition="SSIM hole: mean of the SSIM map at the missing pixels, edges mirrored",
        needs_mask=True,
    ),
    Metric(
        name="lpips",
        title="LPIPS",
        load=_lpips,
        higher_is_better=False,
        best=0.0,
        range=(0.0, inf),
        digits=4,
        definition="LPIPS 0.1, SqueezeNet (not comparable with AlexNet's or VGG's), RGB in [-1, 1]",
        sees="rgb",
        aliases=("lpips_squeeze",),
    ),
    Metric(
        name="lpips_alex",
        title="LPIPS alex",
        load=_lpips_alex,
        higher_is_better=False,
        best=0.0,
        range=(0.0, inf),
        digits=4,
        definition="LPIPS 0.1, AlexNet, RGB in [-1, 1]",
        sees="rgb",
        files=("alexnet", "lpips_alex"),
    ),
    Metric(
        name="lpips_vgg",
        title="LPIPS vgg",
        load=_lpips_vgg,
        higher_is_better=False,
        best=0.0,
        range=(0.0, inf),
        digits=4,
        definition="LPIPS 0.1, VGG16, RGB in [-1, 1]",
        sees="rgb",
        files=("vgg16", "lpips_vgg"),
    ),
    Metric(
        name="dists",
        title="DISTS",
        load=_dists,
        higher_is_better=False,
        best=0.0,
        range=(0.0, 2.0),
        digits=4,
        definition="DISTS, VGG16, RGB in [0, 1], not resized",
        sees="rgb",
        files=("vgg16", "dists"),
    ),
    Metric(
        name="niqe",
        title="NIQE",
        load=_niqe,
        higher_is_better=False,
        best=0.0,
        range=(0.0, inf),
        digits=4,
        definition="NIQE on Y of BT.601 rounded to 8 bit, blocks of 96x96, released model (BasicSR's)",
        sees="rgb",
        needs_reference=False,
    ),
    Metric(
        name="fid",
        title="FID",
        load=_fid,
        higher_is_better=False,
        best=0.0,
        range=(0.0, inf),
        digits=2,
        definition="FID, Inception of pytorch-fid, RGB, bilinear to 299x299, biased below some thousand images",
        sees="rgb",
        of_set=True,
        files=("inception",),
    ),
    _pyiqa_row("musiq", 100.0, 0.0, 100.0, "Ke et al. 2021"),
    _pyiqa_row("maniqa", 1.0, 0.0, 1.0, "Yang et al. 2022"),
    _pyiqa_row("clipiqa", 1.0, 0.0, 1.0, "Wang et al. 2023"),
    _pyiqa_row("topiq_nr", 1.0, 0.0, 1.0, "Chen et al. 2024"),
    _pyiqa_row("liqe", 5.0, 1.0, 5.0, "Zhang et al. 2023"),
    _pyiqa_row("brisque", -inf, -inf, inf, "Mittal et al. 2012"),
    _pyiqa_row("ilniqe", 0.0, 0.0, inf, "Zhang et al. 2015"),
    _pyiqa_row("nrqm", 10.0, 0.0, 10.0, "Ma et al. 2017"),
    _pyiqa_row("pi", -inf, -inf, inf, "Blau et al. 2018"),
)

ALIASES = {alias: row.name for row in _ROWS for alias in row.aliases}
"""Names of metrics by the other names under which they may be chosen."""


def _what_is_wrong(name: str, row: object) -> str:
    if not isinstance(row, Metric):
        return "must be a diffir.metrics.metric.Metric"
    return "" if row.name == name else f"must have the name of its entry point, not {row.name!r}"


METRICS: Extended[Metric] = Extended("diffir.metrics", "metric", {row.name: row for row in _ROWS}, _what_is_wrong)
"""Every metric by its name, those of other packages included."""
