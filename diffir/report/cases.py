"""Which images a report shows, and what it is handed to show them.

In: the document of an evaluation. Out: names with the reason why; the caller restores these again and hands in their
pictures. Chosen by numbers alone, so that nobody picks the pretty ones.
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
    """An image to show."""

    dataset: str
    degradation: str
    name: str
    why: str


@dataclass(frozen=True, eq=False)
class Case:
    """An image that is shown."""

    dataset: str
    degradation: str
    name: str
    why: str
    """Such as "worst of photo by PSNR"."""
    pictures: Mapping[str, np.ndarray]
    """H x W x 3 uint8 RGB, all of one size, in this order: "input", the methods, "ground truth"; what is missing is
    left out."""
    scores: Mapping[str, Mapping[str, float]]
    """By method, then by metric."""

    @property
    def methods(self) -> list[str]:
        """The pictures that somebody restored."""
        return [name for name in self.pictures if name not in (INPUT, GROUND_TRUTH)]


def choose_cases(document: EvaluationDocument, *, per_group: int = 2) -> list[Chosen]:
    """The images worth looking at, for each set and degradation, none of them twice.

    They are taken from both ends of the first network's scores (first metric with a direction): the worst, the best,
    the second worst and so on. The image on which it loses most against the best other method comes on top, if it
    loses at all.

    Args:
        per_group: images of a set and degradation from the two ends; 0 chooses none at all.
    """
    return [choice for section in sections_of(document.results) for choice in _of_section(section, per_group)]


def _of_section(section: Section, per_group: int) -> list[Chosen]:
    table = section.tables[0]
    primary = primary_of(table)
    measure = next((m for m in image_measures([primary]) if m.higher_is_better is not None), None)
    if measure is None or per_group < 1:
        return []
    reasons = _ends(primary, measure, per_group)
    name, loss = _largest_loss(primary, table, measure)
    if name:
        reasons[name] = f"{reasons[name]}; {loss}" if name in reasons else loss
    return [Chosen(section.dataset, section.degradation, name, why) for name, why in reasons.items()]


def _ends(primary: Result, measure: Measure, number: int) -> dict[str, str]:
    """Name -> reason, the worst first, then by turns the best and the next worst."""
    ranked = sorted(_ranked(primary, measure), key=lambda image: measure.key(image.scores[measure.name]))
    reasons: dict[str, str] = {}
    for turn in range(min(number, len(ranked))):
        is_best, place = turn % 2, turn // 2
        image = ranked[-1 - place] if is_best else ranked[place]
        rank = f"number {place + 1} among the " if place else ""
        reasons[image.name] = f"{rank}{'best' if is_best else 'worst'} of {primary.method} by {measure.label}"
    return reasons


def _largest_loss(primary: Result, table: Sequence[Result], measure: Measure) -> tuple[str, str]:
    """Name and reason; both empty where nobody beats the network on any image."""
    worst, name, reason = 0.0, "", ""
    own = {image.name: image.scores[measure.name] for image in _ranked(primary, measure)}
    for rival in table:
        if rival is primary or sees_ground_truth(rival):
            continue
        for image in _ranked(rival, measure):
            if image.name not in own:
                continue
            lost = measure.key(image.scores[measure.name]) - measure.key(own[image.name])
            if lost > worst and float(measure.show(lost)):  # a loss that reads 0.00 is none
                unit = f" {measure.unit}" if measure.unit else ""
                worst, name = lost, image.name
                reason = f"where {primary.method} loses most: {measure.show(lost)}{unit} to {rival.method}"
    return name, reason


def _ranked(result: Result, measure: Measure) -> list[ImageScores]:
    """Images with a number; infinite ones are numbers too."""
    return [image for image in result.evaluation.images if not math.isnan(image.scores.get(measure.name, math.nan))]
