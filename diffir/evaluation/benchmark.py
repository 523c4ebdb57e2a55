"""Measure a contestant on a benchmark, image by image; scores that the cache holds are not computed again.

A benchmark is a set of images with the degradation that makes the inputs and the protocol of the comparison. In: a
benchmark, a contestant and a meter with the metrics. Out: an ``Evaluation``.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from diffir.data.cards.cards import ImageFiles
from diffir.errors import ImageError
from diffir.evaluation.cache import KeptScores, hash_of
from diffir.evaluation.contestant import Contestant
from diffir.evaluation.degradation import Degradation
from diffir.evaluation.peak_memory import PeakMemory
from diffir.evaluation.sample import Sample
from diffir.evaluation.scoring import Evaluation, ImageScores, score, summarise
from diffir.image_io import read_image
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import METRICS, LoadedMetrics

WARM_UP_SIDE = 64  # pixels of the low-quality image
OnImage = Callable[[str], None]
"""A function that is called with the name of each image after it was scored."""


@dataclass(frozen=True)
class Benchmark:
    """Images of a set, the degradation that makes their inputs, and the protocol of the comparison."""

    dataset: str
    files: tuple[ImageFiles, ...]
    complete: int
    """Number of images of the whole set, of which ``files`` may be a part."""
    degradation: Degradation
    protocol: Protocol
    is_public_set: bool = False
    """True if these are all images of a public set, so that published numbers may be shown beside the scores."""

    def refuse_unreadable(self) -> None:
        """Check all files before the first one is restored.

        Raises:
            ImageError: some files cannot be read or are not 8-bit images; the message names all of them.
        """
        # Collect all faults, so that a user can repair them in one go.
        faults = []
        for path in (path for files in self.files for path in (files.gt, files.input) if path is not None):
            try:
                _read_8bit(path)
            except ImageError as error:
                faults.append(str(error))
        if faults:
            raise ImageError("; ".join(faults))

    def samples(self) -> Iterator[Sample]:
        """Yield the samples of all images; files are read one by one."""
        return map(self.sample, self.files)

    def sample(self, files: ImageFiles) -> Sample:
        """Read one image and make its sample.

        Raises:
            ImageError: a file is not an 8-bit image.
        """
        given = None if files.input is None else _read_8bit(files.input)
        return self.degradation(files.name, _read_8bit(files.gt), given)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """One hash for each image, of its name and its files."""
        return tuple(map(_key, self.files))

    @cached_property
    def sha256(self) -> str:
        """A hash of the names and files of all images."""
        return hash_of({"images": self.keys})


def measure(
    benchmark: Benchmark,
    contestant: Contestant,
    meter: LoadedMetrics,
    *,
    cache: Path | None = None,
    on_image: OnImage = lambda name: None,
) -> Evaluation:
    """Restore and score every image of the benchmark with one contestant.

    Args:
        meter: the metrics, with their weights loaded.
        cache: folder of cached scores; None measures everything again and writes nothing.
        on_image: called after each image, such as to move a progress bar.
    """
    # Find out what the cache knows. A metric of the whole set, such as FID, needs all images if its score is not known.
    kept = None if cache is None else KeptScores(cache, _facts(benchmark, contestant, meter))
    of_set, memory = meter.new_set(), PeakMemory(contestant.device)
    set_names = [name for name in meter.names if METRICS[name].of_set]
    image_names = [name for name in meter.names if not METRICS[name].of_set]
    known_of_set = {} if kept is None else kept.of_set(benchmark.sha256)
    must_see_all = not known_of_set.keys() >= set(set_names)

    # Restore and score the images that are not cached.
    images: list[ImageScores] = []
    is_ready = False
    for files, key in zip(benchmark.files, benchmark.keys, strict=True):
        scored = None if kept is None or must_see_all else kept.image(key)
        if scored is None or not scored.scores.keys() >= set(image_names):
            sample = benchmark.sample(files)
            if not is_ready:  # once, and only if an image is not cached
                if contestant.prepare is not None:
                    contestant.prepare(benchmark.samples())
                contestant.restore(
                    _corner(sample, benchmark.degradation.scale)
                )  # imports and first calls are not timed
                is_ready = True
            scored = score(
                contestant.restore,
                sample,
                meter,
                benchmark.protocol,
                of_set,
                round_output=contestant.round_output,
                memory=memory,
            )
            if kept is not None:  # at once, so that a stop loses one image at most
                kept.keep_image(key, scored)
        scores = {name: scored.scores[name] for name in image_names}
        images.append(replace(_timed_here(scored), name=files.name, scores=scores))
        on_image(files.name)

    # Add the scores of the whole set.
    scores_of_set = of_set.scores() if must_see_all else {name: known_of_set[name] for name in set_names}
    if kept is not None and must_see_all:
        kept.keep_set(benchmark.sha256, scores_of_set)
    return summarise(
        images,
        benchmark.protocol,
        round_output=contestant.round_output,
        of_set=scores_of_set,
        skipped=meter.skipped,
        metric_files=meter.sha256,
    )


def _timed_here(scored: ImageScores) -> ImageScores:
    """Drop seconds and memory that were measured with another number of threads."""
    if scored.threads == torch.get_num_threads():
        return scored
    return replace(scored, seconds=None, peak_memory_mb=None, threads=None)


def _corner(sample: Sample, scale: int) -> Sample:
    """Cut a piece from the upper left corner that is large enough for every method."""
    side = WARM_UP_SIDE
    gt = None if sample.gt is None else sample.gt[: side * scale, : side * scale]
    mask = None if sample.mask is None else sample.mask[:side, :side]
    return replace(sample, lq=sample.lq[:side, :side], gt=gt, mask=mask)


def _facts(benchmark: Benchmark, contestant: Contestant, meter: LoadedMetrics) -> dict[str, object]:
    facts: dict[str, object] = {
        "contestant": dict(contestant.settings),
        "condition": benchmark.degradation.facts(),
        "protocol": asdict(benchmark.protocol),
        "round_output": contestant.round_output,
        "metric_files": meter.sha256,
    }
    if contestant.prepare is not None:  # results of one image depend on the other images of the set
        facts["set"] = benchmark.sha256
    return facts


def _key(files: ImageFiles) -> str:
    # The name is part of the key, because recipes and masks depend on it.
    digest = hashlib.sha256(os.fsencode(files.name))
    for path in filter(None, (files.gt, files.input)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _read_8bit(path: Path) -> np.ndarray:
    pixels = read_image(path).pixels
    if pixels.dtype != "uint8":
        raise ImageError(f"{path}: benchmarks are 8-bit images, this one is {pixels.dtype}")
    return pixels


def named(files: Sequence[ImageFiles], name: str) -> ImageFiles:
    """Find the files of an image by its name."""
    return next(image for image in files if image.name == name)
