"""Measure what docs/benchmarks.md shows, every run of tools/benchmark_runs.py, then write the page.

python tools/measure_benchmarks.py [NAME ...]   (DIFFIR_DATA says where the sets lie; all runs when none is named)
Scores are kept, so a stopped call goes on. An hour on one CPU core.
"""

import sys
from pathlib import Path

import benchmarks_page
from benchmark_runs import RUNS

from diffir.cli.main import main as diffir

FOLDER = Path(__file__).resolve().parents[1] / "docs/benchmarks"


def main() -> int:
    """Each run writes one file; then the page."""
    for name in sys.argv[1:] or RUNS:
        failed = diffir(["eval", *RUNS[name].split(), "--json", str(FOLDER / f"{name}.json")])
        if failed:
            return failed
    return benchmarks_page.main([])


if __name__ == "__main__":
    sys.exit(main())
