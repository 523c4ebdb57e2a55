"""Measure the runs of tools/benchmark_runs.py, which docs/benchmarks.md shows, then write the page.

python tools/measure_benchmarks.py [RUN ...] [--only METHOD]   (DIFFIR_DATA is the folder of the sets)
Without names, all runs are measured, which takes an hour on one CPU core. Scores are cached, so a stopped call
continues where it was. --only measures one method in the runs that name it and keeps the results of the others; use it
for new weights.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import benchmarks_page
from benchmark_runs import RUNS, words_after

from diffir.cli.main import main as diffir
from diffir.cli.scores import write_json
from diffir.evaluation.document import EvaluationDocument, Result, document_to_json, read_document

FOLDER = Path(__file__).resolve().parents[1] / "docs/benchmarks"


def with_results(old: EvaluationDocument, new: EvaluationDocument, methods: Sequence[str]) -> EvaluationDocument:
    """Replace results of a document by new ones, or add them; on each set, results follow the order of ``methods``.

    Results of methods that are not in ``methods`` are dropped.

    Raises:
        SystemExit: the two documents were measured with different versions or on different machines.
    """
    for name, before, now in (("versions", old.versions, new.versions), ("machine", old.machine, new.machine)):
        if before != now:
            raise SystemExit(f"{name} were {before} and are {now}: measure the whole run")

    def place(result: Result) -> tuple[str, str]:
        return result.dataset, result.degradation

    found = {(place(result), result.method): result for result in [*old.results, *new.results]}
    keys = product(dict.fromkeys(where for where, _ in found), methods)
    return replace(old, results=tuple(found[key] for key in keys if key in found))


def measure(run: str, only: str | None) -> int:
    """Measure one run and write its file; return the exit code of ``diffir eval``."""
    target = FOLDER / f"{run}.json"
    words = RUNS[run].split()
    if only is None:
        return diffir(["eval", *words, "--json", str(target)])
    if not target.is_file():
        raise SystemExit(f"{target} does not exist: measure the whole run")

    # Measure the method into a temporary file, then merge it into the file of the run.
    words[words.index("-n") + 1] = only
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / target.name
        failed = diffir(["eval", *words, "--json", str(part)])
        if failed:
            return failed
        merged = with_results(read_document(target), read_document(part), words_after("-n", RUNS[run]))
    write_json(target, document_to_json(merged))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each run into its file, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"one of {', '.join(RUNS)}; default: all")
    parser.add_argument(
        "--only", metavar="METHOD", help="measure only this method, in the runs that name it; keep other results"
    )
    args = parser.parse_args(arguments)

    # Check the names before anything is measured.
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
