"""Dataset cards: where the images of a public set are, how inputs and ground truths are paired, who published them.

In: the name of a card, with a split and a scale if it has them (``gopro:train``, ``div2k:valid:x4``), the path of a
card, or a folder of clean images. Out: a frozen card. ``diffir.data.cards.layouts`` finds its files.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from diffir.data.cards.layouts import ImageFiles, Layout, files_by_id, find_folder, find_pairs, root_of_sets
from diffir.data.photo_names import matched_ids
from diffir.errors import ConfigError, UsageError
from diffir.metrics.protocol import Protocol
from diffir.near_names import meant
from diffir.shipped_files import shipped_folder
from diffir.typed_mapping import build
from diffir.yaml_file import read_yaml

__all__ = ["DatasetCard", "ImageFiles", "Split", "files_by_id", "find_images", "load_card", "matched_ids"]

CARDS = shipped_folder("datasets") / "cards"


@dataclass(frozen=True)
class Split:
    """One part of a set."""

    name: str
    """train, valid, test, or the name that the set itself uses."""
    layouts: tuple[Layout, ...] = (Layout(),)
    """Possible layouts on disk; the first one that finds images is used."""
    count: int | None = None
    """Number of images; None if it is not fixed."""
    scales: tuple[int, ...] = ()
    """Scales of the inputs, if patterns contain ``{scale}``."""
    pixels_sha256: str = ""
    """Hash of the ground truths, see ``diffir.data.checking.fingerprints.listing_hash``; empty if not known."""


@dataclass(frozen=True)
class DatasetCard:
    """One set as its YAML file describes it, or one split of it after the choice of a split."""

    name: str
    summary: str
    source: str
    """Address from which the set can be downloaded."""
    folder: str = ""
    """Folder of the set inside the data root."""
    other_folders: tuple[str, ...] = ()
    """Other names that this folder may have."""
    licence: str = ""
    """Licence as the authors state it; empty if none was found."""
    count: int | None = None
    """Number of images of the complete set; None if it is not fixed."""
    gt: str = "{id}"
    """Pattern of the ground truths, inside ``folder``."""
    input: str | None = None
    """Pattern of the degraded images; None if the evaluation makes them from the ground truths."""
    paper: str = ""
    """Publication that introduced the set."""
    pixels_sha256: str = ""
    """Hash of the ground truths, as in ``Split``."""
    splits: tuple[Split, ...] = ()
    """Splits, of which the first is the default; a set without splits states count, gt and input itself."""
    other_layouts: tuple[Layout, ...] = ()
    """Layouts that are tried in order if ``gt`` finds nothing."""
    protocol: Protocol | None = None
    """Scoring protocol of published tables for the inputs of the set; None: RGB without a border."""
    parts: tuple[str, ...] = ()
    """Names of other cards that together form this set, which then has no folder of its own."""

    def __post_init__(self) -> None:
        if bool(self.folder) == bool(self.parts):
            raise ConfigError("a card needs either a folder or parts (names of other cards)")


def load_card(name: str) -> DatasetCard:
    """Read the card of a set and choose its split and scale.

    Args:
        name: name of a card in upper or lower case, followed by ``:SPLIT`` and ``:xSCALE`` if the card has them; the
            path of a card (.yml); or a folder of clean images.

    Raises:
        UsageError: the name is none of these, or the card does not have the split or scale.
        ConfigError: a key of the card is unknown or missing.
    """
    title, *choices = name.split(":")
    known = CARDS / f"{title.lower()}.yml"
    if Path(name).suffix.lower() in (".yml", ".yaml"):
        return _chosen(_read_card(Path(name)), [])
    if Path(title).name == title and known.is_file():
        return _chosen(_read_card(known), choices)
    if Path(name).is_dir():
        path = Path(name).resolve()
        return DatasetCard(path.name, "a folder of clean images", source="", folder=str(path))
    hint = meant(title.lower(), sorted(card.stem for card in CARDS.glob("*.yml")))
    raise UsageError(f"unknown dataset {name!r}, neither a card nor the path of a card or a folder; {hint}")


def find_images(card: DatasetCard, data_root: Path | None = None, *, need_all: bool = True) -> list[ImageFiles]:
    """Find the files of a set, sorted by name.

    Args:
        data_root: the folder of all sets; None: the environment variable DIFFIR_DATA, else ``datasets``.
        need_all: refuse images without a partner; otherwise ground truths may lack an input, and inputs without
            ground truth are left out.

    Raises:
        UsageError: the folder is missing or empty; the message says where to get the set and where to put it.
        PairingError: an input has no ground truth or the reverse, or one image has two files.
    """
    # A set of parts is the images of other cards.
    root = root_of_sets(data_root)
    if card.parts:
        found = {part: find_images(load_card(part), root, need_all=need_all) for part in card.parts}
        return [replace(image, name=f"{part}/{image.name}") for part, images in found.items() for image in images]

    # Find the folder of the set.
    folder = next(filter(None, (find_folder(root, name) for name in (card.folder, *card.other_folders))), None)
    if folder is None:
        raise UsageError(
            f"dataset {card.name} is not here: get it from {card.source} and put it in {root / card.folder}, "
            f"or set --data_root FOLDER or DIFFIR_DATA=FOLDER to the folder that holds {card.folder}"
        )

    # The first layout that finds images is used.
    layouts = [Layout(card.gt, card.input), *card.other_layouts]
    for layout in layouts:
        images = find_pairs(folder, layout, need_all=need_all)
        if images:
            return images
    patterns = " or ".join(repr(layout.gt) for layout in layouts)
    raise UsageError(f"dataset {card.name}: no image matches {patterns} in {folder}")


def _chosen(card: DatasetCard, choices: list[str]) -> DatasetCard:
    """The card with the values of one split and with ``{scale}`` filled in.

    Args:
        choices: the words after the name, a split and a scale; either may be missing.
    """
    # A set of parts passes the choices on to its parts.
    if card.parts:
        suffix = "".join(f":{choice}" for choice in choices)
        parts = tuple(part + suffix for part in card.parts)
        return replace(card, name=card.name + suffix, parts=parts, input=load_card(parts[0]).input)
    if not card.splits:
        if choices:
            raise UsageError(f"{card.name} has no splits: use {card.name} alone")
        return card

    # Choose the split, the first one by default, and the scale.
    split = card.splits[0]
    if choices and not _is_scale(choices[0]):
        named = choices.pop(0)
        split = next((part for part in card.splits if part.name == named), None) or _refuse(card, named)
    scale = _chosen_scale(card, split, choices)

    # Fill in the values of the split.
    layouts = [layout.at_scale(scale) for layout in split.layouts if scale is None or layout.input is not None]
    suffix = f":{split.name}" + (f":x{scale}" if scale else "")
    return replace(
        card,
        name=card.name + suffix,
        count=split.count,
        gt=layouts[0].gt,
        input=layouts[0].input,
        other_layouts=tuple(layouts[1:]),
        pixels_sha256=split.pixels_sha256,
        splits=(),
    )


def _chosen_scale(card: DatasetCard, split: Split, choices: list[str]) -> int | None:
    """The chosen scale; None leaves the inputs out, since they can be made from the ground truths."""
    if not choices:
        return max(split.scales) if any("{scale}" in layout.gt for layout in split.layouts) else None
    wanted = choices[0]
    if len(choices) > 1 or not _is_scale(wanted) or int(wanted[1:]) not in split.scales:
        listing = ", ".join(f"x{scale}" for scale in split.scales) or "no inputs of other scales"
        raise UsageError(f"{card.name}:{split.name}: {':'.join(choices)} is not there; it has {listing}")
    return int(wanted[1:])


def _is_scale(word: str) -> bool:
    return word[:1] == "x" and word[1:].isdigit()


def _refuse(card: DatasetCard, named: str) -> Split:
    raise UsageError(f"{card.name} has no split {named!r}; it has {', '.join(part.name for part in card.splits)}")


def _read_card(path: Path) -> DatasetCard:
    try:
        values = read_yaml(path)
    except OSError as error:
        raise UsageError(f"cannot read card {path}: {error.strerror}") from error
    return build(DatasetCard, values, where=str(path))
