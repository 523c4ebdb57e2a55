"""Cache scores on disk, so that a stopped evaluation continues and a repeated one takes no time.

One JSON Lines file belongs to one contestant under one degradation and protocol. Its name is a hash of everything that
the scores depend on: weights, settings, degradation, protocol, versions and the code that computes them. Each line
holds the scores of one image, found by a hash of the image's files. A line that was cut off by a stop is ignored.
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

from diffir.errors import ConfigError
from diffir.evaluation.scoring import ImageScores
from diffir.typed_mapping import check_type

# Parts of diffir that cannot change a score: a change in them keeps the cache valid.
_WITHOUT_EFFECT = ("cli", "report", "training", "__pycache__")
# Packages whose version may change a score.
_PACKAGES = ("torch", "numpy", "opencv-python", "scikit-image", "scipy", "pillow", "spandrel", "pyiqa")


class KeptScores:
    """The cached scores of one contestant on one benchmark, in one file."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Read the file for ``facts``: everything that the scores depend on, except the images, in plain types."""
        self.path = folder / f"{hash_of({**facts, 'code': _code(), 'versions': _versions()})}.jsonl"
        self._images: dict[str, ImageScores] = {}
        self._sets: dict[str, dict[str, float]] = {}
        # Later lines replace earlier ones.
        for line in self._lines():
            with suppress(KeyError, TypeError, ConfigError):  # a line of another format: measure that image again
                if "image" in line:
                    scored = ImageScores(**line["scored"])
                    check_type(ImageScores, scored, "scored")
                    self._images[line["image"]] = scored
                else:
                    check_type(Mapping[str, float], line["scores"], "scores")
                    self._sets[line["set"]] = line["scores"]

    def image(self, key: str) -> ImageScores | None:
        """Return the scores of the image whose files have this hash, or None."""
        return self._images.get(key)

    def keep_image(self, key: str, scored: ImageScores) -> None:
        """Add the scores of an image; its earlier scores by other metrics stay."""
        known = self._images.get(key)
        if known is not None:
            scored = replace(scored, scores={**known.scores, **scored.scores})
        self._images[key] = scored
        self._append({"image": key, "scored": asdict(scored)})

    def of_set(self, key: str) -> dict[str, float]:
        """Return the scores of the whole set whose images have this hash, by metric."""
        return self._sets.get(key, {})

    def keep_set(self, key: str, scores: Mapping[str, float]) -> None:
        """Add scores of a whole set, such as FID."""
        self._sets[key] = {**self.of_set(key), **scores}
        self._append({"set": key, "scores": self._sets[key]})

    def _append(self, line: Mapping[str, Any]) -> None:
        """Append a line in one write, so that two processes do not mix; a line break comes first, as the last line may
        have been cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write(f"\n{json.dumps(line)}\n".encode())

    def _lines(self) -> Iterator[dict[str, Any]]:
        content = self.path.read_bytes() if self.path.is_file() else b""
        for text in content.splitlines():
            try:
                yield json.loads(text)
            except (ValueError, RecursionError):  # empty, cut off by a stop, or no text of ours
                continue


def hash_of(facts: Mapping[str, Any]) -> str:
    """Hash a mapping of plain types; the order of its keys does not matter."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@cache
def _code() -> str:
    """Hash the source files that scores depend on, including the metric weights that ship."""
    root, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.npz"), *root.rglob("*.yml")]):
        if not set(path.relative_to(root).parts) & set(_WITHOUT_EFFECT):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    installed = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed
