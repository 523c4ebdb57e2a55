"""Dataset cards: where the images of a public benchmark lie, how inputs and ground truths pair up, who made them.

In: a card's name, a card's path or a folder of clean images; out: a frozen card and the files it stands for. A pattern
such as ``target/{id}_mean`` is a path inside the set without its suffix; what ``{id}`` matches names the image and
joins input and ground truth. Suffixes are those of any image file, in either case.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from diffir.errors import ConfigError, PairingError, UsageError
from diffir.image_io import list_images
from diffir.typed_mapping import build

CARDS = Path(__file__).resolve().parents[2] / "datasets" / "cards"  # a checkout; data files are not installed
DATA_ROOT_VARIABLE = "DIFFIR_DATA"
NAMES_SHOWN = 5  # file names an error lists


@dataclass(frozen=True)
class DatasetCard:
    """One benchmark, as its YAML file describes it."""

    name: str
    summary: str
    folder: str
    """Inside the data root."""
    licence: str
    source: str
    """Where to get it."""
    count: int | None = None
    """Images of the complete set; None where that is not fixed."""
    gt: str = "{id}"
    """Pattern of the ground truths, inside ``folder``."""
    input: str | None = None
    """Pattern of the degraded images; None: they are made from the ground truth by the test's protocol."""
    paper: str = ""
    """Who published it."""


@dataclass(frozen=True)
class ImageFiles:
    """One image of a benchmark."""

    name: str
    gt: Path
    input: Path | None = None


def load_card(name: str) -> DatasetCard:
    """The card of a set.

    Args:
        name: a card's name in either case, the path of a card (.yml), or a folder of clean images.

    Raises:
        UsageError: none of these, or a card with an unknown or missing key.
    """
    path = Path(name)
    known = CARDS / f"{name.lower()}.yml"
    if path.suffix.lower() in (".yml", ".yaml"):
        return _read_card(path)
    if path.name == name and known.is_file():
        return _read_card(known)
    if path.is_dir():
        title = path.resolve().name
        return DatasetCard(title, "a folder of clean images", str(path.resolve()), licence="unknown", source="")
    names = ", ".join(sorted(card.stem for card in CARDS.glob("*.yml"))) or "none (they come with a checkout)"
    raise UsageError(f"unknown dataset {name!r}: neither a card ({names}) nor the path of a card or a folder")


def find_images(card: DatasetCard, data_root: Path | None = None) -> list[ImageFiles]:
    """The files of a set, sorted by name.

    Args:
        data_root: where the sets lie; None: the environment variable DIFFIR_DATA, else ``datasets``.

    Raises:
        UsageError: the folder is missing or empty; the message says where to get the set and where to put it.
        PairingError: an input without ground truth or the reverse, or two files for one image.
    """
    root = data_root or Path(os.environ.get(DATA_ROOT_VARIABLE) or "datasets")
    folder = _find_folder(root, card.folder)
    if folder is None:
        raise UsageError(
            f"dataset {card.name} is not here: get it from {card.source} and put it in {root / card.folder}, "
            f"or say --data_root FOLDER or {DATA_ROOT_VARIABLE}=FOLDER where {card.folder} lies"
        )
    gt = files_by_id(folder, card.gt)
    if not gt:
        raise UsageError(f"dataset {card.name}: no image matches {card.gt!r} in {folder}")
    if card.input is None:
        return [ImageFiles(name, path) for name, path in gt.items()]
    inputs = files_by_id(folder, card.input)
    return [ImageFiles(name, gt[name], inputs[name]) for name in matched_ids(inputs, gt, "input", "ground truth")]


def files_by_id(folder: Path, pattern: str = "{id}") -> dict[str, Path]:
    """Image files of a folder whose path without suffix fits a pattern: what ``{id}`` matched -> file, sorted.

    Raises:
        PairingError: two files that differ in their suffix only.
        ConfigError: a pattern without exactly one ``{id}`` in its last part.
    """
    parent, _, stem = pattern.rpartition("/")
    if stem.count("{id}") != 1 or "{" in parent:
        raise ConfigError(f"pattern {pattern!r} needs one {{id}} in its last part, such as target/{{id}}_mean")
    before, after = (re.escape(part) for part in stem.split("{id}"))
    found: dict[str, Path] = {}
    directory = folder / parent
    for path in list_images(directory, with_plugins=False) if directory.is_dir() else []:
        match = re.fullmatch(f"{before}(.+){after}", path.stem)
        if match is None:
            continue
        if match[1] in found:
            raise PairingError(f"two files for one image in {directory}: {found[match[1]].name} and {path.name}")
        found[match[1]] = path
    return found


def matched_ids(left: Iterable[str], right: Iterable[str], left_name: str, right_name: str) -> list[str]:
    """The ids, sorted, if both sides hold the same ones.

    Raises:
        PairingError: a partner is missing on either side; the message names the images.
    """
    left, right = set(left), set(right)
    complaints = [
        f"{len(lonely)} without {partner}: {_shortened(sorted(lonely))}"
        for lonely, partner in ((left - right, right_name), (right - left, left_name))
        if lonely
    ]
    if complaints:
        raise PairingError(f"{left_name} and {right_name} do not match one to one; {'; '.join(complaints)}")
    return sorted(left)


def _read_card(path: Path) -> DatasetCard:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read card {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return build(DatasetCard, values, where=str(path))


def _find_folder(root: Path, name: str) -> Path | None:
    """``root / name`` whatever the case of its last part; an absolute name is itself."""
    exact = root / name
    if exact.is_dir():
        return exact
    siblings = exact.parent.iterdir() if exact.parent.is_dir() else ()
    return next((path for path in siblings if path.is_dir() and path.name.lower() == exact.name.lower()), None)


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
