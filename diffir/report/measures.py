"""The columns of a report: metrics, then time and memory, each with its label, unit, digits and better direction.

In: names of ``METRICS``. Out: ``Measure``. A metric that this version does not know (from a newer file or another
package) is shown with four digits and is never ranked, because its better direction is not known.
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
    """One column of a table: a metric or a cost."""

    name: str
    """Name of the metric; empty for a cost."""
    label: str
    unit: str
    digits: int
    higher_is_better: Better
    """None if it is not known; then nothing is ranked by this column."""

    @property
    def head(self) -> Html:
        """The heading of the column: label, arrow for the better direction, unit."""
        arrow = {True: "↑", False: "↓", None: ""}[self.higher_is_better]
        said = {True: "higher is better", False: "lower is better", None: ""}[self.higher_is_better]
        return join(
            self.label,
            tag("span", arrow, class_="arrow", aria_label=said, role="img") if arrow else None,
            tag("span", self.unit, class_="unit") if self.unit else None,
        )

    def show(self, value: float | None) -> str:
        """Format a number as papers print it; a dash if there is none."""
        if value is None or math.isnan(value):
            return "–"
        return f"{value:.{self.digits}f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"

    def key(self, value: float) -> float:
        """Map a score so that larger is better and ``max`` finds the best."""
        return value if self.higher_is_better else -value


SECONDS = Measure("", "Time", "s / image", 3, False)
MEMORY = Measure("", "Peak memory", "MB", 0, False)


def metric_measures(results: Sequence[Result]) -> list[Measure]:
    """Make one column for each metric that any of the results has, in the order of the file."""
    return [measure_of(name) for name in each_once(name for result in results for name in result.evaluation.scores)]


def image_measures(results: Sequence[Result]) -> list[Measure]:
    """Make one column for each metric of single images; metrics of whole sets, such as FID, have none."""
    names = each_once(name for result in results for image in result.evaluation.images for name in image.scores)
    return [measure_of(name) for name in names]


def measure_of(name: str) -> Measure:
    """Make the column of a metric."""
    metric = METRICS.get(name)
    if metric is None:
        return Measure(name, name, "", 4, None)
    return Measure(name, metric.title, metric.unit, metric.digits, metric.higher_is_better)


def of_image(measure: Measure, image: ImageScores) -> float | None:
    """Return the value of an image in this column: its score, seconds or memory."""
    if measure is SECONDS:
        return image.seconds
    return image.peak_memory_mb if measure is MEMORY else image.scores.get(measure.name)


def best_shown(measure: Measure, values: Sequence[float | None]) -> set[str]:
    """Format the best value; values that are shown alike all count as best. Empty if no value is better."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if measure.higher_is_better is None or len({measure.show(value) for value in known}) < 2:
        return set()
    return {measure.show(max(known, key=measure.key))}
