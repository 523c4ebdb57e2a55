"""Layouts: path patterns that tell the ground truths of a set from the inputs and pair them.

A pattern is a path inside the set without its suffix: ``target/{id}_mean``. ``{id}`` in the last part names the image.
A folder written ``*`` stands for any folder and becomes part of the name. ``{id}_{variant}`` lets one ground truth have
several inputs. Files whose ``{id}`` and ``*`` folders are equal form a pair; a ``*`` in the last part matches any text
and is ignored. Files may have any image suffix.
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
    """One way in which the files of a set may be arranged on disk."""

    gt: str = "{id}"
    """Pattern of the ground truths."""
    input: str | None = None
    """Pattern of the degraded images; None if the set has none."""

    def at_scale(self, scale: int | None) -> "Layout":
        """The layout with ``{scale}`` filled in; for None, inputs whose pattern contains ``{scale}`` are left out."""
        if scale is None:
            return Layout(self.gt, None if "{scale}" in (self.input or "") else self.input)
        gt, degraded = (None if text is None else text.replace("{scale}", str(scale)) for text in (self.gt, self.input))
        return Layout(gt or self.gt, degraded)


@dataclass(frozen=True)
class ImageFiles:
    """The files of one image: ground truth and, if the set has one, input."""

    name: str
    gt: Path
    input: Path | None = None


def root_of_sets(data_root: Path | None) -> Path:
    """The folder of all sets: ``data_root``, else the environment variable DIFFIR_DATA, else ``datasets``."""
    return data_root or Path(os.environ.get(DATA_ROOT_VARIABLE) or "datasets")


def find_folder(root: Path, name: str) -> Path | None:
    """The folder ``root / name``, in which the case of the last part is ignored; None if it does not exist."""
    exact = root / name
    if exact.is_dir():
        return exact
    siblings = exact.parent.iterdir() if exact.parent.is_dir() else ()
    return next((path for path in siblings if path.is_dir() and path.name.lower() == exact.name.lower()), None)


def find_pairs(folder: Path, layout: Layout, *, need_all: bool = True) -> list[ImageFiles]:
    """Images of a layout, sorted by name; empty if no ground truth matches.

    Args:
        need_all: refuse images without a partner; otherwise ground truths may lack an input, and inputs without
            ground truth are left out.

    Raises:
        PairingError: an input has no ground truth or the reverse, or one image has two files.
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
    """Mapping from id to image file for all files of a folder that match a pattern, sorted.

    Raises:
        PairingError: two files differ in their suffix only.
        ConfigError: the last part of the pattern does not contain ``{id}`` exactly once.
    """
    return {name: path for (name, _), path in _files(folder, pattern).items()}


def _files(folder: Path, pattern: str) -> dict[tuple[str, str], Path]:
    """Mapping from (name, variant) to file, sorted by folder and file name."""
    parent, _, stem = pattern.rpartition("/")
    if stem.count("{id}") != 1 or "{" in parent or "{" in stem.replace("{id}", "").replace("{variant}", ""):
        raise ConfigError(f"pattern {pattern!r} needs one {{id}} in its last part, such as target/{{id}}_mean")
    # Turn the last part of the pattern into a regular expression.
    names = {"{id}": "(?P<id>.+?)", "{variant}": "(?P<variant>.+)", "*": ".*"}
    regex = "".join(names.get(part, re.escape(part)) for part in re.split(r"(\{id\}|\{variant\}|\*)", stem))

    # Match the image files of every folder that the pattern allows.
    found: dict[tuple[str, str], Path] = {}
    for directory in sorted(folder.glob(parent)) if "*" in parent else [folder / parent]:
        for path in list_images(directory, with_plugins=False) if directory.is_dir() else []:
            match = re.fullmatch(regex, path.stem, re.DOTALL)  # a name may contain a newline
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
    """The folders of a path for which the pattern has a ``*``."""
    return [part for part, wanted in zip(parts, pattern, strict=False) if "*" in wanted]
