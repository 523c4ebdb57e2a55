"""Write the tables of docs/what-diffusion-buys.md from the files in docs/prior/, each behind a line <!-- FILE.json -->.

python tools/prior_tables.py [--check]
A file is of ``diffir eval --prior --json`` or of tools/prior_ablation.py. Gains are paired by photo (and seed); their
95 % interval is a bootstrap over photos.
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
REFERENCE = "T = 4"
Scores = Mapping[str, float]
"""PSNR by photo."""


def with_tables(text: str, folder: Path) -> str:
    """The page with every table made anew."""

    def table(match: re.Match[str]) -> str:
        content = json.loads((folder / match[1]).read_text("utf-8"))
        make = of_priors if "format" in content else of_variants
        return f"<!-- {match[1]} -->\n\n{make(content['results'])}\n"

    return MARKED.sub(table, text)


def of_priors(results: Sequence[Mapping[str, Any]]) -> str:
    """Kinds of prior of one network; each set and condition is a column, and the gain over the diffusion's one more."""
    places = list(dict.fromkeys((result["dataset"], result["condition"]) for result in results))
    kinds: dict[str, dict[tuple[str, str], Scores]] = {}
    for result in results:
        kind = result["network"]["prior"] if result["network"] else result["method"]
        scores = {image["name"]: float(image["scores"]["psnr"]) for image in result["images"]}
        kinds.setdefault(kind, {})[result["dataset"], result["condition"]] = scores
    lines = ["| prior | " + " | ".join(f"{name}, {label} | gain" for name, label in places) + " |"]
    lines.append("|---" * (1 + 2 * len(places)) + "|")
    for kind, by_place in kinds.items():
        cells = [f"{statistics.fmean(by_place[place].values()):.2f}" for place in places]
        gains = [gain([by_place[place]], [kinds["diffusion"][place]]) for place in places]
        pairs = " | ".join(f"{cell} | {one}" for cell, one in zip(cells, gains, strict=True))
        lines.append(f"| {kind} | {pairs} |")
    return "\n".join(lines)


def of_variants(results: Sequence[Mapping[str, Any]]) -> str:
    """Variants of training, a column a seed."""
    by_variant: dict[str, dict[int, Scores]] = {}
    for result in results:
        by_variant.setdefault(result["variant"], {})[result["seed"]] = result["psnr"]
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
    """Mean difference of each photo over the runs, with its interval; empty for a run against itself."""
    if all(run is other for run, other in zip(runs, against, strict=True)):
        return ""
    pairs = list(zip(runs, against, strict=True))
    by_photo = [statistics.fmean(run[photo] - other[photo] for run, other in pairs) for photo in against[0]]
    low, high = interval_of_mean(by_photo)
    return f"{statistics.fmean(by_photo):+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> int:
    """Write or check."""
    text = PAGE.read_text("utf-8")
    made = with_tables(text, FOLDER)
    if "--check" in sys.argv[1:]:
        return int(made != text)
    with write_atomically(PAGE) as file:
        file.write(made.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
