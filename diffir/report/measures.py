"""The columns of a report: every metric, then what a restored image costs; each knows how its numbers are written.

In: names of ``METRICS``. Out: ``Measure``. A metric that this version does not know (a newer file, a metric of another
package) is shown with four digits and never ranked, for nobody can say here which direction is better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffir.evaluation.document import Result
from diffir.evaluation.scoring import ImageScores
from diffir.metrics.table import METRICS
from diffir.report.grouping import each_once
from diffir.report.markup import Html, join, tag

Better = bool | None


@dataclass(frozen=True)
class Measure:
    """One column."""

    name: str
    """Of the metric; empty for costs."""
    label: str
    unit: str
    digits: int
    higher_is_better: Better
    """None: not known, so nothing is ranked by it."""

    @property
    def head(self) -> Html:
        """Label, arrow, unit."""
        arrow = {True: "↑", False: "↓", None: ""}[self.higher_is_better]
        said = {True: "higher is better", False: "lower is better", None: ""}[self.higher_is_better]
        return join(
            self.label,
            tag("span", arrow, class_="arrow", aria_label=said, role="img") if arrow else None,
            tag("span", self.unit, class_="unit") if self.unit else None,
        )

    def show(self, value: float | None) -> str:
        """A number as papers print it; a dash where there is none."""
        if value is None or math.isnan(value):
            return "–"
        return f"{value:.{self.digits}f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"

    def key(self, value: float) -> float:
        """Larger is better, so that ``max`` finds the best."""
        return value if self.higher_is_better else -value


SECONDS = Measure("", "Time", "s / image", 3, False)
MEMORY = Measure("", "Peak memory", "MB", 0, False)


def metric_measures(results: Sequence[Result]) -> list[Measure]:
    """One for each metric that any of the results has, in the order of the file."""
    return [measure_of(name) for name in each_once(name for result in results for name in result.evaluation.scores)]


def image_measures(results: Sequence[Result]) -> list[Measure]:
    """One for each metric that images have one by one; metrics of whole sets are not among them."""
    names = each_once(name for result in results for image in result.evaluation.images for name in image.scores)
    return [measure_of(name) for name in names]


def measure_of(name: str) -> Measure:
    """The column of a metric."""
    metric = METRICS.get(name)
    if metric is None:
        return Measure(name, name, "", 4, None)
    return Measure(name, metric.title, metric.unit, metric.digits, metric.higher_is_better)


def of_image(measure: Measure, image: ImageScores) -> float | None:
    """What an image got: its score, or its seconds, or its memory."""
    if measure is SECONDS:
        return image.seconds
    return image.peak_memory_mb if measure is MEMORY else image.scores.get(measure.name)


def best_shown(measure: Measure, values: Sequence[float | None]) -> set[str]:
    """How the best of these values is written, so that what looks equal is marked alike; empty where none is better."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if measure.higher_is_better is None or len({measure.show(value) for value in known}) < 2:
        return set()
    return {measure.show(max(known, key=measure.key))}
