"""The catalogue: every set of weights that has a name, and where it is.

Shipped rows are the files in ``pretrained/`` (their headers are read, not their tensors); official rows are the
released DiffIR checkpoints, which the authors hand out and ``diffir convert`` reads. Needs no torch.
"""

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from diffir.errors import UsageError
from diffir.systems.diffir.tasks import TASKS
from diffir.weights.card import Score, WeightsCard
from diffir.weights.header import read_header

PRETRAINED = Path(__file__).parent / "pretrained"
AUTHORS_PAGE = "https://github.com/Zj-BinXia/DiffIR"
PREFERRED_DEFAULTS = ("photo", "denoise")

# Parameters of each official stage-2 network; tests build them and count.
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


# Tables of Xia et al., ICCV 2023, as the authors' page shows them: dataset, metric, value. How they were taken is told
# by _PUBLISHED_PROTOCOLS, which the authors' evaluation scripts decide, not by the protocol that diffir measures with.
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


@dataclass(frozen=True)
class CatalogueEntry:
    """One row of ``diffir models``."""

    name: str
    task: str | None
    scale: int
    summary: str
    parameters: int
    licence: str
    scores: tuple[Score, ...] = ()
    path: Path | None = None
    """The shipped file; None for weights that must be fetched."""
    size: int | None = None
    """Bytes of the shipped file."""
    url: str | None = None
    """Where to get weights that are not shipped."""
    card: WeightsCard | None = field(default=None, repr=False)
    """Everything the shipped file says of itself."""

    @property
    def shipped(self) -> bool:
        return self.path is not None


def catalogue(folder: Path = PRETRAINED) -> dict[str, CatalogueEntry]:
    """All entries by name: the shipped ones first.

    Raises:
        WeightsError: a shipped file is damaged.
    """
    entries = [_shipped_entry(path) for path in sorted(folder.glob("*.safetensors"))]
    entries += [_official_entry(task) for task in _OFFICIAL_PARAMETERS]
    return {entry.name: entry for entry in entries}


def find_entry(name: str) -> CatalogueEntry:
    """The entry of that name.

    Raises:
        UsageError: no such name; the message says which are near.
    """
    entries = catalogue()
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=3, cutoff=0.4)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"unknown model {name!r}: {meant}diffir models lists all, --model_path takes a file")
    return entries[name]


def default_name(folder: Path = PRETRAINED) -> str:
    """What ``-n`` means when it is not given: the first preferred name that ships, else the first that ships.

    Raises:
        UsageError: nothing ships with this installation.
    """
    shipped = [path.stem for path in sorted(folder.glob("*.safetensors"))]
    for name in (*PREFERRED_DEFAULTS, *shipped):
        if name in shipped:
            return name
    raise UsageError("no weights ship with this installation: name a file with --model_path")


def _shipped_entry(path: Path) -> CatalogueEntry:
    header = read_header(path)
    card = WeightsCard.from_metadata(header.metadata, str(path))
    return CatalogueEntry(
        name=path.stem,
        task=card.task,
        scale=card.settings.scale,
        summary=card.summary,
        parameters=header.parameters,
        licence=card.licence,
        scores=card.scores,
        path=path,
        size=header.size,
        card=card,
    )


def _official_entry(task: str) -> CatalogueEntry:
    row = TASKS[task]
    return CatalogueEntry(
        name=f"official_{task}",
        task=task,
        scale=row.arch.scale,
        summary=f"{row.summary} (released DiffIR checkpoint)",
        parameters=_OFFICIAL_PARAMETERS[task],
        licence="see the authors' page",
        scores=_published_scores(task),
        url=AUTHORS_PAGE,
    )


def _published_scores(task: str) -> tuple[Score, ...]:
    return tuple(
        Score(dataset, metric, value, _PUBLISHED_PROTOCOLS[task, metric], published=True)
        for dataset, metric, value in _PUBLISHED.get(task, ())
    )
