"""The pictures of a report: images that were chosen by their scores are restored once more, by every method.

In: chosen names, the plan of the evaluation. Out: cases with pictures of the size of the result.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from diffir.cli.eval_plan import Plan
from diffir.evaluation import Sample
from diffir.evaluation.benchmark import Benchmark, named
from diffir.evaluation.scoring import as_scored
from diffir.pixels import as_rgb
from diffir.report import Case, Chosen


def cases_of(chosen: Sequence[Chosen], plan: Plan) -> list[Case]:
    """One case a chosen image."""
    return list(_cases(chosen, plan))


def _cases(chosen: Sequence[Chosen], plan: Plan) -> Iterator[Case]:
    for benchmark in plan.benchmarks:
        own = [one for one in chosen if (one.dataset, one.condition) == (benchmark.dataset, benchmark.condition.label)]
        contestants = plan.contestants(benchmark.condition) if own else []
        for contestant in contestants:
            if contestant.prepare is not None:
                contestant.prepare(benchmark.samples())
        for one in own:
            sample = benchmark.sample(named(benchmark.files, one.name))
            restored = {c.name: _shown(c.restore(sample)) for c in contestants if c.name != "input"}
            yield Case(one.dataset, one.condition, one.name, one.why, _pictures(sample, restored, benchmark), {})


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
