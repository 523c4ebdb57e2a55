"""Choose the images that a report shows.

In: the document of an evaluation. Out: names of images, each with the reason for the choice; the caller restores these
images again and passes their pictures as ``Case``. The choice depends on the scores alone, so that it cannot favour
good-looking results.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diffir.evaluation.document import EvaluationDocument, Result
from diffir.evaluation.scoring import ImageScores
from diffir.report.measures import Measure, image_measures
from diffir.report.sections import Section, primary_of, sections_of, sees_ground_truth

INPUT = "input"
GROUND_TRUTH = "ground truth"


@dataclass(frozen=True)
class Chosen:
    """An image that the report should show."""

    dataset: str
    degradation: str
    """Label of the degradation, such as "sigma 25"."""
    name: str
    why: str


@dataclass(frozen=True, eq=False)
class Case:
    """An image that the report shows, with its pictures and scores."""

    dataset: str
    degradation: str
    """Label of the degradation, such as "sigma 25"."""
    name: str
    why: str
    """Reason for the choice, such as "worst of photo by PSNR"."""
    pictures: Mapping[str, np.ndarray]
    """H x W x 3 uint8 RGB, all of one size, in this order: "input", the methods, "ground truth"; any of them may be
    absent."""
    scores: Mapping[str, Mapping[str, float]]
    """Method -> metric -> score of this image."""

    @property
    def methods(self) -> list[str]:
        """Names of the methods whose results are among the pictures."""
        return [name for name in self.pictures if name not in (INPUT, GROUND_TRUTH)]


def choose_cases(document: EvaluationDocument, *, per_group: int = 2) -> list[Chosen]:
    """Choose images for each set and degradation; no image is chosen twice.

    Images come from both ends of the ranking by the first network's scores (first metric that has a direction): the
    worst, the best, the second worst and so on. One more image is the one where the network falls furthest behind
    another method, if there is such an image.

    Args:
        per_group: number of images of a set and degradation from the two ends; 0 chooses none at all.
    """
    return [choice for section in sections_of(document.results) for choice in _of_section(section, per_group)]


def _of_section(section: Section, per_group: int) -> list[Chosen]:
    # Rank by the first metric of the network that the section is about.
    table = section.tables[0]
    primary = primary_of(table)
    measure = next((m for m in image_measures([primary]) if m.higher_is_better is not None), None)
    if measure is None or per_group < 1:
        return []

    # The two ends of the ranking, and the image where another method is furthest ahead.
    reasons = _ends(primary, measure, per_group)
    name, loss = _largest_loss(primary, table, measure)
    if name:
        reasons[name] = f"{reasons[name]}; {loss}" if name in reasons else loss
    return [Chosen(section.dataset, section.degradation, name, why) for name, why in reasons.items()]


def _ends(primary: Result, measure: Measure, number: int) -> dict[str, str]:
    """Name -> reason: the worst image first, then alternately the best and the next worst."""
    ranked = sorted(_ranked(primary, measure), key=lambda image: measure.key(image.scores[measure.name]))
    reasons: dict[str, str] = {}
    for turn in range(min(number, len(ranked))):
        is_best, place = turn % 2, turn // 2
        image = ranked[-1 - place] if is_best else ranked[place]
        rank = f"number {place + 1} among the " if place else ""
        reasons[image.name] = f"{rank}{'best' if is_best else 'worst'} of {primary.method} by {measure.label}"
    return reasons


def _largest_loss(primary: Result, table: Sequence[Result], measure: Measure) -> tuple[str, str]:
    """Name and reason; both are empty if no method beats the network on any image."""
    worst, name, reason = 0.0, "", ""
    own = {image.name: image.scores[measure.name] for image in _ranked(primary, measure)}
    for rival in table:
        # An upper bound would win everywhere, which shows nothing.
        if rival is primary or sees_ground_truth(rival):
            continue
        for image in _ranked(rival, measure):
            if image.name not in own:
                continue
            lost = measure.key(image.scores[measure.name]) - measure.key(own[image.name])
            if lost > worst and float(measure.show(lost)):  # a loss that is shown as 0.00 does not count
                unit = f" {measure.unit}" if measure.unit else ""
                worst, name = lost, image.name
                reason = f"where {primary.method} loses most: {measure.show(lost)}{unit} to {rival.method}"
    return name, reason


def _ranked(result: Result, measure: Measure) -> list[ImageScores]:
    """Images whose score is not NaN; infinite scores count."""
    return [image for image in result.evaluation.images if not math.isnan(image.scores.get(measure.name, math.nan))]
