"""The checkpoints that the authors of DiffIR released: names, numbers of parameters and published scores."""

from types import MappingProxyType

from diffir.system import ReleasedRow
from diffir.systems.diffir.tasks import TASKS

AUTHORS_PAGE = "https://github.com/Zj-BinXia/DiffIR"

# Number of parameters of each official stage-2 network; tests build the networks and compare.
_OFFICIAL_PARAMETERS = MappingProxyType(
    {
        "sr_x4": 24_971_206,
        "sr_x2": 24_981_574,
        "realsr_x4": 24_971_206,
        "realsr_x2": 24_981_574,
        "realsr_x1": 25_023_046,
        "deblur": 26_911_934,
        "inpaint": 26_402_474,
        "inpaint_big": 49_482_922,
    }
)


# Tables of Xia et al., ICCV 2023, as on the authors' page: dataset, metric, value. They were measured by the protocols
# of the authors' evaluation scripts (_PUBLISHED_PROTOCOLS), which differ from the protocol of diffir eval.
_PUBLISHED: MappingProxyType[str, tuple[tuple[str, str, float], ...]] = MappingProxyType(
    {
        "deblur": (
            ("GoPro", "psnr", 33.20),
            ("GoPro", "ssim", 0.963),
            ("HIDE", "psnr", 31.55),
            ("HIDE", "ssim", 0.947),
        ),
        "sr_x4": (
            ("Set14", "psnr", 27.73),
            ("Set14", "lpips", 0.1117),
            ("Urban100", "psnr", 26.05),
            ("Urban100", "lpips", 0.1007),
            ("Manga109", "psnr", 30.32),
            ("Manga109", "lpips", 0.0463),
            ("DIV2K100", "psnr", 29.13),
            ("DIV2K100", "lpips", 0.0871),
        ),
        "realsr_x4": (
            ("RealSRSet", "lpips", 0.3527),
            ("RealSRSet", "psnr", 27.65),
            ("NTIRE2020 T1", "lpips", 0.3088),
            ("NTIRE2020 T1", "psnr", 27.31),
        ),
        "inpaint": (
            ("CelebA-HQ wide masks", "fid", 5.1440),
            ("CelebA-HQ wide masks", "lpips", 0.0918),
            ("Places wide masks", "fid", 1.9788),
            ("Places wide masks", "lpips", 0.1306),
        ),
    }
)
_PUBLISHED_PROTOCOLS = MappingProxyType(
    {
        ("deblur", "psnr"): "8-bit RGB, crop_border 0, MATLAB",
        ("deblur", "ssim"): "8-bit RGB as one volume, 11 x 11 x 11 window, borders replicated, MATLAB",
        ("sr_x4", "psnr"): "Y of BT.601, crop_border 4",
        ("sr_x4", "lpips"): "AlexNet, RGB, crop_border 0",
        ("realsr_x4", "psnr"): "Y of BT.601, crop_border 4",
        ("realsr_x4", "lpips"): "VGG",
        ("inpaint", "fid"): "Inception pool3",
        ("inpaint", "lpips"): "VGG",
    }
)


def _row(task: str) -> ReleasedRow:
    row = TASKS[task]
    return ReleasedRow(
        name=f"official_{task}",
        task=task,
        facts=row.arch.facts,
        summary=f"{row.summary} (released DiffIR checkpoint)",
        parameters=_OFFICIAL_PARAMETERS[task],
        url=AUTHORS_PAGE,
        scores=tuple(
            (dataset, metric, value, _PUBLISHED_PROTOCOLS[task, metric])
            for dataset, metric, value in _PUBLISHED.get(task, ())
        ),
    )


RELEASED_ROWS = tuple(map(_row, _OFFICIAL_PARAMETERS))
