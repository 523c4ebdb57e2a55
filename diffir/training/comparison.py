"""Compare two networks on the same degraded photos, for example before and after fine-tuning.

In: samples and two restoring networks. Out: ``report.md``, ``report.json`` and ``before_after.png`` in a folder.
Networks restore as they do for users, without the ground truth. The photos should be in neither training set.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffir.evaluation import Evaluation, Sample, evaluate
from diffir.evaluation.document import conventions, evaluation_to_json
from diffir.files import write_atomically
from diffir.image_io import write_image
from diffir.inference.restorer import Restorer
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import get_metrics
from diffir.pixels import to_float, to_kind
from diffir.training.validation import enlarged

SHOWN = 4  # photos in the picture, evenly spread from the least gain to the most


@dataclass(frozen=True)
class Comparison:
    """Scores of the input itself and of both networks, with pictures.

    Attributes:
        pictures: photo name -> input, before, after and ground truth side by side, H x 4W x 3 uint8.
    """

    input: Evaluation
    before: Evaluation
    after: Evaluation
    pictures: Mapping[str, np.ndarray]

    @property
    def gain(self) -> float:
        """Difference of the means of the first metric, after minus before; in dB for PSNR."""
        metric = next(iter(self.before.means))
        return self.after.means[metric] - self.before.means[metric]

    @property
    def scores_by_photo(self) -> list[tuple[str, float, float, float]]:
        """Name of each photo and the first metric of input, before and after; the smallest gain comes first."""
        metric = next(iter(self.before.means))
        rows = zip(self.input.images, self.before.images, self.after.images, strict=True)
        named = [(i.name, i.scores[metric], b.scores[metric], a.scores[metric]) for i, b, a in rows]
        return sorted(named, key=lambda row: row[3] - row[2])


def compare(
    before: Restorer, after: Restorer, samples: Sequence[Sample], metrics: Sequence[str], protocol: Protocol
) -> Comparison:
    """Restore every sample with both networks, and score them and the input."""
    restored: dict[str, list[np.ndarray]] = {sample.name: [] for sample in samples}

    def restore_and_keep(restorer: Restorer, sample: Sample) -> np.ndarray:
        image = _restored(restorer, sample)
        restored[sample.name].append(to_kind(image, np.uint8))
        return image

    def untouched(sample: Sample) -> np.ndarray:
        return to_float(enlarged(sample))

    # Score the input, and restore and score with each network in turn.
    scores_of = partial(evaluate, samples=samples, metrics=metrics, protocol=protocol)
    of_input = scores_of(untouched)
    of_before, of_after = (scores_of(partial(restore_and_keep, network)) for network in (before, after))
    # Put input, both results and the ground truth side by side.
    pictures = {
        sample.name: np.hstack([to_kind(untouched(sample), np.uint8), *restored[sample.name], sample.truth])
        for sample in samples
    }
    return Comparison(of_input, of_before, of_after, pictures)


def write_report(comparison: Comparison, folder: Path, *, title: str, lines: Sequence[str]) -> None:
    """Write ``report.md``, ``report.json`` and ``before_after.png``; ``lines`` describe what was compared."""
    # Draw some photos, from the least gain to the most, each above an 8 pixel wide white line.
    rows = comparison.scores_by_photo
    places = np.unique(np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().astype(int))
    shown = [comparison.pictures[rows[place][0]] for place in places]
    width = max(picture.shape[1] for picture in shown)
    sheet = [np.pad(picture, ((0, 8), (0, width - picture.shape[1]), (0, 0)), constant_values=255) for picture in shown]
    write_image(folder / "before_after.png", np.vstack(sheet))
    # Write the tables for people and the scores for programs.
    with write_atomically(folder / "report.md") as file:
        file.write("\n".join([f"# {title}", "", *lines, "", *_tables(comparison), ""]).encode("utf-8", "replace"))
    everything = {name: _scores(getattr(comparison, name)) for name in ("input", "before", "after")}
    with write_atomically(folder / "report.json") as file:
        file.write(json.dumps(everything, indent=1).encode())


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    line = "; ".join(conventions(evaluation.protocol, list(evaluation.means)))
    # Times differ from run to run, and the report compares scores only.
    images = tuple(replace(image, seconds=None) for image in evaluation.images)
    return evaluation_to_json(replace(evaluation, images=images, seconds=None), line)


def _tables(comparison: Comparison) -> list[str]:
    metrics = get_metrics(list(comparison.before.means))
    lines = ["| | " + " | ".join(metric.heading for metric in metrics) + " |", "|---|" + "---|" * len(metrics)]
    for name in ("input", "before", "after"):
        means = getattr(comparison, name).means
        scores = (f"{means[metric.name]:.{metric.digits}f}" for metric in metrics)
        lines.append(f"| {name} | {' | '.join(scores)} |")
    lines += ["", "![input, before, after, clean](before_after.png)", ""]
    lines += ["Input, before, after, clean: from the photo that gained least to the one that gained most."]
    lines += ["", f"| photo | input | before | after | gain ({metrics[0].unit}) |", "|---|---|---|---|---|"]
    for name, untouched, before, after in comparison.scores_by_photo:
        lines.append(f"| {name} | {untouched:.2f} | {before:.2f} | {after:.2f} | {after - before:+.2f} |")
    return lines


def _restored(restorer: Restorer, sample: Sample) -> np.ndarray:
    mask = sample.lq[..., 3] > 0 if restorer.has_mask else None
    return restorer.restore(to_float(sample.lq[..., :3]), mask)
