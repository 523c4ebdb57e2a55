"""Make the pictures of a report: every method restores the chosen images once more.

In: the chosen images, the plan of the evaluation and its results. Out: cases whose pictures all have the size of the
result.
"""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from diffir.cli.eval_setup import EvalPlan
from diffir.evaluation import Sample
from diffir.evaluation.benchmark import Benchmark, named
from diffir.evaluation.document import Result
from diffir.evaluation.scoring import as_scored
from diffir.pixels import as_rgb
from diffir.report import Case, Chosen


def evenly(chosen: Sequence[Chosen], most: int) -> list[Chosen]:
    """Take at most ``most`` items, evenly spaced over the list."""
    if len(chosen) <= most:
        return list(chosen)
    return [chosen[number * len(chosen) // most] for number in range(most)]


def cases_of(chosen: Sequence[Chosen], plan: EvalPlan, results: Sequence[Result]) -> list[Case]:
    """Make one case for each chosen image, with its scores from the results."""
    scores: dict[tuple[str, str, str], dict[str, Mapping[str, float]]] = {}
    for result in results:
        for image in result.evaluation.images:
            place = result.dataset, result.degradation, image.name
            scores.setdefault(place, {})[result.method] = image.scores
    return list(_cases(chosen, plan, scores))


def _cases(
    chosen: Sequence[Chosen], plan: EvalPlan, scores: Mapping[tuple[str, str, str], Mapping[str, Mapping[str, float]]]
) -> Iterator[Case]:
    for benchmark in plan.benchmarks:
        place = benchmark.dataset, benchmark.degradation.label
        own = [one for one in chosen if (one.dataset, one.degradation) == place]
        contestants = plan.contestants(benchmark.degradation) if own else []
        # Some kinds of prior need all images of the set first.
        for contestant in contestants:
            if contestant.prepare is not None:
                contestant.prepare(benchmark.samples())
        # Restore each chosen image; the input is shown anyway.
        for one in own:
            sample = benchmark.sample(named(benchmark.files, one.name))
            restored = {c.name: _shown(c.restore(sample)) for c in contestants if c.name != "input"}
            pictures = _pictures(sample, restored, benchmark)
            yield Case(*place, one.name, one.why, pictures, scores[(*place, one.name)])


def _pictures(sample: Sample, restored: dict[str, np.ndarray], benchmark: Benchmark) -> dict[str, np.ndarray]:
    """Collect input, results and ground truth; a smaller input is upscaled by repeating its pixels."""
    untouched = _shown(sample.lq)
    scale = benchmark.degradation.scale
    if scale > 1:
        size = (untouched.shape[1] * scale, untouched.shape[0] * scale)
        untouched = cv2.resize(untouched, size, interpolation=cv2.INTER_NEAREST)
    truth = {} if sample.gt is None else {"ground truth": _shown(sample.gt)}
    return {"input": untouched, **restored, **truth}


def _shown(image: np.ndarray) -> np.ndarray:
    """Convert an image to H x W x 3 uint8."""
    return as_rgb(as_scored(image, round_output=True).astype(np.uint8))
