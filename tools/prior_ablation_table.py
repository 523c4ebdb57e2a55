"""Markdown table of a prior ablation: PSNR of each variant, mean over seeds, and what it gains over T = 4.

python tools/prior_ablation_table.py RESULTS.json > table.md   (RESULTS of tools/prior_ablation.py)
The gain is paired by seed and photo; its interval is a bootstrap over photos of the mean over seeds.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from diffir.metrics.bootstrap import interval_of_mean

REFERENCE = "T = 4"


def table(results: Sequence[Mapping]) -> str:
    """One row a variant, in the order of the file."""
    by_variant: dict[str, dict[int, dict[str, float]]] = {}
    for result in results:
        by_variant.setdefault(result["variant"], {})[result["seed"]] = result["psnr"]
    seeds = sorted(by_variant[REFERENCE])
    lines = [
        f"| variant | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | gain over {REFERENCE} (95 % interval) |"
    ]
    lines.append("|---" * (len(seeds) + 3) + "|")
    for variant, runs in by_variant.items():
        means = {seed: statistics.fmean(runs[seed].values()) for seed in seeds if seed in runs}
        cells = [f"{means[seed]:.2f}" if seed in means else "-" for seed in seeds]
        lines.append(
            f"| {variant} | {' | '.join(cells)} | {statistics.fmean(means.values()):.2f} | {_gain(runs, by_variant)} |"
        )
    return "\n".join(lines)


def _gain(runs: Mapping[int, Mapping[str, float]], by_variant: Mapping[str, Mapping[int, Mapping[str, float]]]) -> str:
    """Mean difference of each photo over the seeds that both have."""
    reference = by_variant[REFERENCE]
    if runs is reference:
        return ""
    shared = sorted(runs.keys() & reference.keys())
    by_photo = [
        statistics.fmean(runs[seed][photo] - reference[seed][photo] for seed in shared)
        for photo in reference[shared[0]]
    ]
    low, high = interval_of_mean(by_photo)
    return f"{statistics.fmean(by_photo):+.2f} ({low:+.2f} to {high:+.2f})"


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text("utf-8"))["results"]))
