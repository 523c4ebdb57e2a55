"""Scores kept between calls, so that a stopped evaluation goes on and a repeated one costs nothing.

A file holds the images of one contestant under one degradation and protocol, a line each, and is named by a hash of all
that its scores depend on: weights, settings, degradation, protocol, versions and the code that computes them. Lines are
found by a hash of the image's own files. A line that was torn by a stop is not read.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from diffir.evaluation.scoring import ImageScores

_NOT_OF_SCORES = ("cli", "report", "training", "__pycache__")
_PACKAGES = ("torch", "numpy", "opencv-python", "scikit-image", "scipy", "pillow", "spandrel", "pyiqa")


class KeptScores:
    """The lines of one file."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """``facts``: all that the scores depend on, beside the images, in plain types."""
        self.path = folder / f"{hash_of({**facts, 'code': _code(), 'versions': _versions()})}.jsonl"
        self._images: dict[str, ImageScores] = {}
        self._sets: dict[str, dict[str, float]] = {}
        for line in self._lines():
            with suppress(KeyError, TypeError):  # what is no line of ours is measured again
                if "image" in line:
                    self._images[line["image"]] = ImageScores(**line["scored"])
                else:
                    self._sets[line["set"]] = line["scores"]

    def image(self, key: str) -> ImageScores | None:
        """What is known of the image with these files."""
        return self._images.get(key)

    def keep_image(self, key: str, scored: ImageScores) -> None:
        """Add the scores of an image; earlier scores by other metrics stay."""
        known = self._images.get(key)
        if known is not None:
            scored = replace(scored, scores={**known.scores, **scored.scores})
        self._images[key] = scored
        self._append({"image": key, "scored": asdict(scored)})

    def of_set(self, key: str) -> dict[str, float]:
        """What is known of the set of these images."""
        return self._sets.get(key, {})

    def keep_set(self, key: str, scores: Mapping[str, float]) -> None:
        """Add the scores of a whole set."""
        self._sets[key] = {**self.of_set(key), **scores}
        self._append({"set": key, "scores": self._sets[key]})

    def _append(self, line: Mapping[str, Any]) -> None:
        """One write a line, so that two processes do not mix; a new line first, in case the last one was torn."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write(f"\n{json.dumps(line)}\n".encode())

    def _lines(self) -> Iterator[dict[str, Any]]:
        content = self.path.read_bytes() if self.path.is_file() else b""
        for text in content.splitlines():
            try:
                yield json.loads(text)
            except ValueError:  # empty, or torn by a stop; also what is not UTF-8
                continue


def hash_of(facts: Mapping[str, Any]) -> str:
    """Of plain types, whatever the order of keys."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@cache
def _code() -> str:
    """Of the files that decide scores, shipped weights of metrics among them."""
    root, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.npz"), *root.rglob("*.yml")]):
        if not set(path.relative_to(root).parts) & set(_NOT_OF_SCORES):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    installed = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed
