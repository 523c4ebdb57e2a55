"""The pictures of a report: images that were chosen by their scores are restored once more, by every method.

In: chosen names, the plan of the evaluation. Out: cases with pictures of the size of the result.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from diffir.cli.eval_setup import Plan
from diffir.evaluation import Sample
from diffir.evaluation.benchmark import Benchmark, named
from diffir.evaluation.scoring import as_scored
from diffir.pixels import as_rgb
from diffir.report import Case, Chosen


def evenly(chosen: Sequence[Chosen], most: int) -> list[Chosen]:
    """At most so many, from all over the list."""
    if len(chosen) <= most:
        return list(chosen)
    return [chosen[number * len(chosen) // most] for number in range(most)]


def cases_of(chosen: Sequence[Chosen], plan: Plan, document: Mapping[str, Any]) -> list[Case]:
    """One case a chosen image, with its scores in the document."""
    scores: dict[tuple[str, str, str], dict[str, Mapping[str, float]]] = {}
    for result in document["results"]:
        for image in result["images"]:
            place = result["dataset"], result["condition"], image["name"]
            own = {name: float(value) for name, value in image["scores"].items()}  # a string where it is not finite
            scores.setdefault(place, {})[result["method"]] = own
    return list(_cases(chosen, plan, scores))


def _cases(
    chosen: Sequence[Chosen], plan: Plan, scores: Mapping[tuple[str, str, str], Mapping[str, Mapping[str, float]]]
) -> Iterator[Case]:
    for benchmark in plan.benchmarks:
        own = [one for one in chosen if (one.dataset, one.condition) == (benchmark.dataset, benchmark.condition.label)]
        contestants = plan.contestants(benchmark.condition) if own else []
        for contestant in contestants:
            if contestant.prepare is not None:
                contestant.prepare(benchmark.samples())
        for one in own:
            sample = benchmark.sample(named(benchmark.files, one.name))
            restored = {c.name: _shown(c.restore(sample)) for c in contestants if c.name != "input"}
            place = one.dataset, one.condition, one.name
            yield Case(*place, one.why, _pictures(sample, restored, benchmark), scores[place])


def _pictures(sample: Sample, restored: dict[str, np.ndarray], benchmark: Benchmark) -> dict[str, np.ndarray]:
    """Input, results, ground truth; an input that is smaller is enlarged pixel by pixel, as it is."""
    untouched = _shown(sample.lq)
    if benchmark.condition.scale > 1:
        size = (untouched.shape[1] * benchmark.condition.scale, untouched.shape[0] * benchmark.condition.scale)
        untouched = cv2.resize(untouched, size, interpolation=cv2.INTER_NEAREST)
    truth = {} if sample.gt is None else {"ground truth": _shown(sample.gt)}
    return {"input": untouched, **restored, **truth}


def _shown(image: np.ndarray) -> np.ndarray:
    """H x W x 3 uint8."""
    return as_rgb(as_scored(image, round_output=True).astype(np.uint8))
