"""Layouts: patterns of paths that say which files of a set are ground truths, which inputs, and which belong together.

A pattern is a path inside the set without its suffix: ``target/{id}_mean``. ``{id}`` in its last part names the image;
a folder written ``*`` stands for any folder and becomes part of the name; ``{id}_{variant}`` lets one ground truth have
several inputs. What they match joins input and ground truth; ``*`` in the last part joins nothing. Any image suffix.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from diffir.data.photo_names import matched_ids
from diffir.errors import ConfigError, PairingError
from diffir.image_io import list_images

DATA_ROOT_VARIABLE = "DIFFIR_DATA"


@dataclass(frozen=True)
class Layout:
    """One way a set lies on disk."""

    gt: str = "{id}"
    """Pattern of the ground truths."""
    input: str | None = None
    """Pattern of the degraded images, if the set has them."""

    def at_scale(self, scale: int | None) -> "Layout":
        """The layout for a scale; without one, inputs that name ``{scale}`` are left out."""
        if scale is None:
            return Layout(self.gt, None if "{scale}" in (self.input or "") else self.input)
        gt, damaged = (None if text is None else text.replace("{scale}", str(scale)) for text in (self.gt, self.input))
        return Layout(gt or self.gt, damaged)


@dataclass(frozen=True)
class ImageFiles:
    """One image of a set."""

    name: str
    gt: Path
    input: Path | None = None


def root_of_sets(data_root: Path | None) -> Path:
    """Where the sets lie: as said, else the environment variable DIFFIR_DATA, else ``datasets``."""
    return data_root or Path(os.environ.get(DATA_ROOT_VARIABLE) or "datasets")


def find_folder(root: Path, name: str) -> Path | None:
    """``root / name`` whatever the case of its last part; an absolute name is itself."""
    exact = root / name
    if exact.is_dir():
        return exact
    siblings = exact.parent.iterdir() if exact.parent.is_dir() else ()
    return next((path for path in siblings if path.is_dir() and path.name.lower() == exact.name.lower()), None)


def find_pairs(folder: Path, layout: Layout, *, need_all: bool = True) -> list[ImageFiles]:
    """Images of a layout, sorted by name; empty where no ground truth lies so.

    Args:
        need_all: refuse what has no partner; else ground truths may stand alone, and lonely inputs are left out.

    Raises:
        PairingError: an input without ground truth or the reverse, or two files for one image.
    """
    gt = files_by_id(folder, layout.gt)
    if layout.input is None or not gt:
        return [ImageFiles(name, path) for name, path in gt.items()]
    inputs = _files(folder, layout.input)
    given = {name for name, _ in inputs}
    if need_all:
        matched_ids(given, gt, "input", "ground truth")
    found = [
        ImageFiles(f"{name}_{variant}" if variant else name, gt[name], path)
        for (name, variant), path in inputs.items()
        if name in gt
    ]
    found += [ImageFiles(name, path) for name, path in gt.items() if name not in given]
    return sorted(found, key=lambda image: image.name)


def files_by_id(folder: Path, pattern: str = "{id}") -> dict[str, Path]:
    """Image files of a folder whose path without suffix fits a pattern: what it matched -> file, sorted.

    Raises:
        PairingError: two files that differ in their suffix only.
        ConfigError: a pattern without exactly one ``{id}`` in its last part.
    """
    return {name: path for (name, _), path in _files(folder, pattern).items()}


def _files(folder: Path, pattern: str) -> dict[tuple[str, str], Path]:
    """(name, variant) -> file, sorted by folder and file name."""
    parent, _, stem = pattern.rpartition("/")
    if stem.count("{id}") != 1 or "{" in parent or "{" in stem.replace("{id}", "").replace("{variant}", ""):
        raise ConfigError(f"pattern {pattern!r} needs one {{id}} in its last part, such as target/{{id}}_mean")
    names = {"{id}": "(?P<id>.+?)", "{variant}": "(?P<variant>.+)", "*": ".*"}
    regex = "".join(names.get(part, re.escape(part)) for part in re.split(r"(\{id\}|\{variant\}|\*)", stem))
    found: dict[tuple[str, str], Path] = {}
    for directory in sorted(folder.glob(parent)) if "*" in parent else [folder / parent]:
        for path in list_images(directory, with_plugins=False) if directory.is_dir() else []:
            match = re.fullmatch(regex, path.stem)
            if match is None:
                continue
            matched = match.groupdict()
            scene = _starred(directory.relative_to(folder).parts, parent.split("/"))
            key = "/".join([*scene, matched["id"]]), matched.get("variant", "")
            if key in found:
                raise PairingError(f"two files for one image in {directory}: {found[key].name} and {path.name}")
            found[key] = path
    return found


def _starred(parts: Iterable[str], pattern: Iterable[str]) -> list[str]:
    """The folders that a pattern leaves open."""
    return [part for part, wanted in zip(parts, pattern, strict=False) if "*" in wanted]
