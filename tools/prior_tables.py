"""Write the tables of docs/what-diffusion-buys.md from the files in docs/prior/, below lines <!-- FILE.json -->.

python tools/prior_tables.py [--check]
The files come from ``diffir eval --prior --json`` and from tools/prior_ablation.py. Gains are differences on the same
photo (and seed); their 95 % interval is a bootstrap over photos.
"""

import json
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffir.files import write_atomically
from diffir.metrics.bootstrap import interval_of_mean

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FOLDER = DOCS / "what-diffusion-buys.md", DOCS / "prior"
MARKED = re.compile(r"<!-- (\S+\.json) -->\n\n(?:\|.*\n)*")
REFERENCE = "T = 4"  # variant that the others are compared with
Scores = Mapping[str, float]
"""PSNR in dB by name of the photo."""


def with_tables(text: str, folder: Path) -> str:
    """Return the text of the page with all tables replaced by new ones."""

    def table(match: re.Match[str]) -> str:
        # Only documents of diffir eval have a format.
        content = json.loads((folder / match[1]).read_text("utf-8"))
        make = of_priors if "format" in content else of_variants
        return f"<!-- {match[1]} -->\n\n{make(content['results'])}\n"

    return MARKED.sub(table, text)


def of_priors(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the kinds of prior of one network.

    Each data set and degradation has two columns: the PSNR, and the gain over the prior of the diffusion.
    """
    # Collect the scores of each kind of prior.
    places = list(dict.fromkeys((result["dataset"], result["condition"]) for result in results))
    kinds: dict[str, dict[tuple[str, str], Scores]] = {}
    for result in results:
        kind = result["network"]["prior"] if result["network"] else result["method"]
        scores = {image["name"]: float(image["scores"]["psnr"]) for image in result["images"]}
        kinds.setdefault(kind, {})[result["dataset"], result["condition"]] = scores

    # Write a row for each kind.
    lines = ["| prior | " + " | ".join(f"{name}, {label} | gain" for name, label in places) + " |"]
    lines.append("|---" * (1 + 2 * len(places)) + "|")
    for kind, by_place in kinds.items():
        cells = [f"{statistics.fmean(by_place[place].values()):.2f}" for place in places]
        gains = [gain([by_place[place]], [kinds["diffusion"][place]]) for place in places]
        pairs = " | ".join(f"{cell} | {one}" for cell, one in zip(cells, gains, strict=True))
        lines.append(f"| {kind} | {pairs} |")
    return "\n".join(lines)


def of_variants(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the training variants, with a column for each seed."""
    # Collect the scores of each variant and seed.
    by_variant: dict[str, dict[int, Scores]] = {}
    for result in results:
        by_variant.setdefault(result["variant"], {})[result["seed"]] = result["psnr"]

    # Write a row for each variant; a seed that was not trained is a dash.
    seeds = sorted(by_variant[REFERENCE])
    head = [f"seed {seed}" for seed in seeds]
    lines = [f"| variant | {' | '.join(head)} | mean | gain over {REFERENCE} |", "|---" * (len(seeds) + 3) + "|"]
    for variant, runs in by_variant.items():
        shared = [seed for seed in seeds if seed in runs]
        means = {seed: statistics.fmean(runs[seed].values()) for seed in shared}
        cells = [f"{means[seed]:.2f}" if seed in means else "-" for seed in seeds]
        against = [by_variant[REFERENCE][seed] for seed in shared]
        last = gain([runs[seed] for seed in shared], against)
        lines.append(f"| {variant} | {' | '.join(cells)} | {statistics.fmean(means.values()):.2f} | {last} |")
    return "\n".join(lines)


def gain(runs: Sequence[Scores], against: Sequence[Scores]) -> str:
    """Return the mean gain over ``against`` with its interval, as text; empty if both are the same runs."""
    if all(run is other for run, other in zip(runs, against, strict=True)):
        return ""
    # Average over runs first: photos, and not runs, are what the bootstrap draws.
    pairs = list(zip(runs, against, strict=True))
    by_photo = [statistics.fmean(run[photo] - other[photo] for run, other in pairs) for photo in against[0]]
    low, high = interval_of_mean(by_photo)
    return f"{statistics.fmean(by_photo):+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> int:
    """Write the page; with --check, only return 1 if it is not up to date."""
    text = PAGE.read_text("utf-8")
    made = with_tables(text, FOLDER)
    if "--check" in sys.argv[1:]:
        return int(made != text)
    with write_atomically(PAGE) as file:
        file.write(made.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
