"""What to survey: a card, a folder with or without partners, or the sections of an option file, as ``Part``s.

In: what a user names. Out: parts, and what is wrong with names alone: a partner that is missing. Then the clean photos
of the part are surveyed all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffir.config import PhotosConfig, RunConfig
from diffir.data.cards import DatasetCard, find_images
from diffir.data.findings import Finding
from diffir.data.photo_names import partners
from diffir.data.photo_sources import open_photos
from diffir.data.survey import FilePhotos, Part
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
        findings.append(_unpaired(card.name, error))
        # Inputs left out of every layout: what is left are the ground truths.
        others = tuple(replace(layout, input=None) for layout in card.other_layouts)
        images = find_images(replace(card, input=None, other_layouts=others), data_root)
    pairs = [(str(image.gt), None if image.input is None else str(image.input)) for image in images]
    damaged = FilePhotos([image.input for image in images if image.input is not None])
    clean = FilePhotos([image.gt for image in images])
    return NamedParts([Part(card.name, clean, pairs, damaged if damaged.names else None)], findings)


def parts_of_section(title: str, section: PhotosConfig, patch: int = 0) -> NamedParts:
    """The photos of a section, with their partners, and its masks.

    Raises:
        ConfigError: folders that are not there.
    """
    listed, recursive = section.meta_info_file, section.recursive
    clean = open_photos(section.dataroot_gt, "dataroot_gt", meta_info_file=listed, recursive=recursive)
    parts = [Part(title, clean, [(name, None) for name in clean.names], patch=patch)]
    findings = []
    if section.dataroot_lq is not None:
        damaged = open_photos(section.dataroot_lq, "dataroot_lq", recursive=recursive or listed is not None)
        try:
            joined = partners(clean.names, damaged.names, section.filename_tmpl, all_used=listed is None)
            parts[0] = replace(parts[0], damaged=damaged, pairs=list(joined.items()))
        except PairingError as error:
            findings.append(_unpaired(title, error))
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


def _unpaired(title: str, error: PairingError) -> Finding:
    return Finding(title, "partner", True, str(error), ())
