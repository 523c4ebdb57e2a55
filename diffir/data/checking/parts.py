"""What to survey: a card, a folder with or without partners, or the sections of an option file, as ``Part``s.

In: what a user names. Out: parts, and what is wrong with names alone: a partner that is missing. Then the pairs there
are, and the clean photos without one, are surveyed all the same.
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
    """Parts and the findings that came up while they were put together."""

    parts: Sequence[Part]
    findings: Sequence[Finding] = ()


def parts_of_card(card: DatasetCard, data_root: Path | None) -> NamedParts:
    """One part.

    Raises:
        UsageError: the set is not here.
    """
    findings = []
    try:
        images = find_images(card, data_root)
    except PairingError as error:
        findings.append(Finding(card.name, "partner", True, str(error), ()))
        images = _paired_or_clean(card, data_root)
    pairs = [(str(image.gt), None if image.input is None else str(image.input)) for image in images]
    damaged = FilePhotos([image.input for image in images if image.input is not None])
    clean = FilePhotos([image.gt for image in images])
    return NamedParts([Part(card.name, clean, pairs, damaged if damaged.names else None)], findings)


def _paired_or_clean(card: DatasetCard, data_root: Path | None) -> list[ImageFiles]:
    """The pairs there are and the ground truths without input; these alone, if one has two inputs of one name."""
    try:
        return find_images(card, data_root, need_all=False)
    except PairingError:
        others = tuple(replace(layout, input=None) for layout in card.other_layouts)
        return find_images(replace(card, input=None, other_layouts=others), data_root)


def parts_of_section(title: str, section: PhotosConfig, patch: int = 0, *, by_option: bool = True) -> NamedParts:
    """The photos of a section, with their partners, and its masks.

    Args:
        by_option: an option file names them, not the flags of a command; for messages.

    Raises:
        ConfigError: folders that are not there.
    """
    listed, recursive = section.meta_info_file, section.recursive
    keys = ("dataroot_gt", "dataroot_lq", "recursive: true") if by_option else ("SET", "--lq", "-r")
    clean = open_photos(section.dataroot_gt, keys[0], meta_info_file=listed, recursive=recursive, deeper=keys[2])
    parts = [Part(title, clean, [(name, None) for name in clean.names], patch=patch)]
    findings: list[Finding] = []
    if section.dataroot_lq is not None:
        below = recursive or listed is not None
        damaged = open_photos(section.dataroot_lq, keys[1], recursive=below, deeper=keys[2])
        joined = join_partners(clean.names, damaged.names, section.filename_tmpl)
        pairs = [(name, joined.partner_of.get(name)) for name in clean.names]
        parts[0] = replace(parts[0], damaged=damaged, pairs=pairs)
        findings += _unpaired(title, joined, all_used=listed is None)
    if section.dataroot_mask is not None:
        masks = open_photos(section.dataroot_mask, "dataroot_mask", recursive=recursive)
        parts.append(Part(f"{title} masks", masks, [(name, None) for name in masks.names], are_masks=True))
    return NamedParts(parts, findings)


def parts_of_options(config: RunConfig) -> tuple[NamedParts, NamedParts | None]:
    """Training and validation sections."""
    largest = max((config.datasets.train.gt_size, *config.train.gt_sizes, *config.stage2.gt_sizes))
    val = config.datasets.val
    return (
        parts_of_section("train", config.datasets.train, largest),
        None if val is None else parts_of_section("val", val),
    )


def _unpaired(title: str, joined: Joined, *, all_used: bool) -> Iterator[Finding]:
    if joined.lonely:
        text = f"{counted(len(joined.lonely), 'clean photo')} without a damaged partner"
        yield Finding(title, "partner", True, text, joined.lonely)
    if joined.unused and all_used:
        text = f"{counted(len(joined.unused), 'damaged photo')} without a clean partner"
        yield Finding(title, "unused partner", True, text, joined.unused)
    if joined.twins:
        text = f"{counted(len(joined.twins), 'damaged photo')} whose name another one has, too; keep one"
        yield Finding(title, "partner twice", True, text, tuple(" and ".join(names) for names in joined.twins))
