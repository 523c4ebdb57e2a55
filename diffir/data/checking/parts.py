"""Turn a card, a folder or the sections of an option file into ``Part``s, which are then surveyed.

In: the set that a user names. Out: parts, and findings about names, such as a missing partner. Complete pairs, and
clean photos without a partner, are surveyed in any case.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffir.config import PhotosConfig, RunConfig
from diffir.data.cards.cards import DatasetCard, ImageFiles, find_images
from diffir.data.checking.findings import Finding
from diffir.data.checking.survey import FilePhotos, Part
from diffir.data.photo_names import Joined, counted, join_partners
from diffir.data.photo_sources import open_photos
from diffir.errors import PairingError


@dataclass(frozen=True)
class NamedParts:
    """Parts, and the findings that were made while their names were paired."""

    parts: Sequence[Part]
    findings: Sequence[Finding] = ()


def parts_of_card(card: DatasetCard, data_root: Path | None) -> NamedParts:
    """The images of a card as one part.

    Args:
        data_root: the folder of all sets; None: the environment variable DIFFIR_DATA, else ``datasets``.

    Raises:
        UsageError: the set is not on this machine.
    """
    findings = []
    try:
        images = find_images(card, data_root)
    except PairingError as error:
        findings.append(Finding(card.name, "partner", True, str(error), ()))
        images = _paired_or_clean(card, data_root)
    pairs = [(str(image.gt), None if image.input is None else str(image.input)) for image in images]
    degraded = FilePhotos([image.input for image in images if image.input is not None])
    clean = FilePhotos([image.gt for image in images])
    return NamedParts([Part(card.name, clean, pairs, degraded if degraded.names else None)], findings)


def _paired_or_clean(card: DatasetCard, data_root: Path | None) -> list[ImageFiles]:
    """Pairs, and ground truths without input; only ground truths if two inputs share a name."""
    try:
        return find_images(card, data_root, need_all=False)
    except PairingError:
        others = tuple(replace(layout, input=None) for layout in card.other_layouts)
        return find_images(replace(card, input=None, other_layouts=others), data_root)


def parts_of_section(title: str, section: PhotosConfig, patch: int = 0, *, by_option: bool = True) -> NamedParts:
    """The photos of an option section with their partners as one part, and its masks as another.

    Args:
        title: name of the part in the report.
        patch: side in pixels of the patches that training cuts; 0: none.
        by_option: messages name the keys of an option file if True, the flags of the command otherwise.

    Raises:
        ConfigError: a folder does not exist.
    """
    # Open the clean photos.
    listed, recursive = section.meta_info_file, section.recursive
    keys = ("dataroot_gt", "dataroot_lq", "recursive: true") if by_option else ("SET", "--lq", "-r")
    clean = open_photos(section.dataroot_gt, keys[0], meta_info_file=listed, recursive=recursive, deeper=keys[2])
    parts = [Part(title, clean, [(name, None) for name in clean.names], patch=patch)]
    findings: list[Finding] = []
    # Pair them with degraded photos.
    if section.dataroot_lq is not None:
        below = recursive or listed is not None
        degraded = open_photos(section.dataroot_lq, keys[1], recursive=below, deeper=keys[2])
        joined = join_partners(clean.names, degraded.names, section.filename_tmpl)
        pairs = [(name, joined.partner_of.get(name)) for name in clean.names]
        parts[0] = replace(parts[0], degraded=degraded, pairs=pairs)
        findings += _unpaired(title, joined, all_used=listed is None)
    # Masks are a part of their own.
    if section.dataroot_mask is not None:
        masks = open_photos(section.dataroot_mask, "dataroot_mask", recursive=recursive)
        parts.append(Part(f"{title} masks", masks, [(name, None) for name in masks.names], are_masks=True))
    return NamedParts(parts, findings)


def parts_of_options(config: RunConfig) -> tuple[NamedParts, NamedParts | None]:
    """The parts of the training section, and those of the validation section if there is one."""
    progressive = [size for stage in config.run_stages for size in config.stages[stage].gt_sizes]
    largest = max((config.datasets.train.gt_size, *progressive))
    val = config.datasets.val
    return (
        parts_of_section("train", config.datasets.train, largest),
        None if val is None else parts_of_section("val", val),
    )


def _unpaired(title: str, joined: Joined, *, all_used: bool) -> Iterator[Finding]:
    if joined.unpaired:
        text = f"{counted(len(joined.unpaired), 'clean photo')} without a degraded partner"
        yield Finding(title, "partner", True, text, joined.unpaired)
    if joined.unused and all_used:
        text = f"{counted(len(joined.unused), 'degraded photo')} without a clean partner"
        yield Finding(title, "unused partner", True, text, joined.unused)
    if joined.twins:
        text = f"{counted(len(joined.twins), 'degraded photo')} with the name of another one; keep one"
        yield Finding(title, "partner twice", True, text, tuple(" and ".join(names) for names in joined.twins))
