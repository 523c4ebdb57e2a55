"""Measure what docs/benchmarks.md shows, the runs of tools/benchmark_runs.py, then write the page.

python tools/measure_benchmarks.py [RUN ...] [--only METHOD]   (DIFFIR_DATA says where the sets lie)
All runs when none is named: an hour on one CPU core. Scores are kept, so a stopped call goes on.
--only measures one method, in the runs that name it, and leaves the results of the others: what new weights need.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import benchmarks_page
from benchmark_runs import RUNS, words_after

from diffir.cli.main import main as diffir
from diffir.cli.scores import write_json

FOLDER = Path(__file__).resolve().parents[1] / "docs/benchmarks"


def with_results(file: dict[str, Any], new: dict[str, Any], methods: Sequence[str]) -> dict[str, Any]:
    """The document with the new results in place of, or beside, its own; in each place in the order of the methods.

    A method that is not among them is left out.

    Raises:
        SystemExit: the two were measured with other versions or on other machines.
    """
    for facts in ("format", "versions", "machine"):
        if file[facts] != new[facts]:
            raise SystemExit(f"{facts} were {file[facts]} and are {new[facts]}: measure the whole run")

    def place(result: dict[str, Any]) -> tuple[str, str]:
        return result["dataset"], result["condition"]

    found = {(place(result), result["method"]): result for result in [*file["results"], *new["results"]]}
    keys = product(dict.fromkeys(where for where, _ in found), methods)
    return {**file, "results": [found[key] for key in keys if key in found]}


def measure(run: str, only: str | None) -> int:
    """One run into its file; the exit code of ``diffir eval``."""
    target = FOLDER / f"{run}.json"
    words = RUNS[run].split()
    if only is None:
        return diffir(["eval", *words, "--json", str(target)])
    if not target.is_file():
        raise SystemExit(f"{target} does not exist: measure the whole run")
    words[words.index("-n") + 1] = only
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / target.name
        failed = diffir(["eval", *words, "--json", str(part)])
        if failed:
            return failed
        old, new = (json.loads(path.read_text("utf-8")) for path in (target, part))
    write_json(target, with_results(old, new, words_after("-n", RUNS[run])))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Each run writes one file; then the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"of {', '.join(RUNS)}; default: all")
    parser.add_argument(
        "--only", metavar="METHOD", help="measure this one, where it is named; keep the others' results"
    )
    args = parser.parse_args(arguments)
    if unknown := [run for run in args.runs if run not in RUNS]:
        parser.error(f"no run is called {unknown[0]}: {', '.join(RUNS)}")
    runs = [run for run in args.runs or RUNS if args.only is None or args.only in words_after("-n", RUNS[run])]
    if not runs:
        parser.error(f"no run names {args.only}: tools/benchmark_runs.py has them")
    for run in runs:
        failed = measure(run, args.only)
        if failed:
            return failed
    return benchmarks_page.main([])


if __name__ == "__main__":
    sys.exit(main())
