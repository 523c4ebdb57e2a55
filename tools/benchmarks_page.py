"""Write docs/benchmarks.md from the files of ``diffir eval --json`` in docs/benchmarks/, published numbers beside them.

python tools/benchmarks_page.py [--check]
--check writes nothing: exit code 1 where the page is not what the files give, or where they lack a run, a set of a run
or weights that a run names; each line says what repairs it.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark_runs import RUNS, words_after

from diffir.data.cards.cards import load_card
from diffir.data.cards.published_rows import load_published
from diffir.errors import DiffIRError, UsageError
from diffir.evaluation.document import EvaluationDocument, Result, read_document
from diffir.files import write_atomically
from diffir.report.markdown import results_as_markdown
from diffir.report.sections import ComparisonKey, comparison_key
from diffir.weights.fingerprint import fingerprint

DOCS = Path(__file__).resolve().parents[1] / "docs"
PRETRAINED = DOCS.parent / "diffir" / "weights" / "pretrained"
HEAD = """# Benchmarks

What the shipped networks and the baselines get, as `diffir eval --json` measured it: see [its files](benchmarks). The
interval behind a number is that of the mean over photos (95 %, bootstrap); the best of a column is bold. Published
numbers have tables of their own: they were not measured here and are not ranked with ours. Seconds were taken on a
machine that did other work at the same time, so they are upper bounds.

```bash
python tools/benchmarks_page.py   # makes this page; a test fails when it is stale
```
"""


@dataclass(frozen=True)
class Measured:
    """One file of ``diffir eval --json``."""

    path: Path
    document: EvaluationDocument

    @property
    def results(self) -> tuple[Result, ...]:
        """All results of the file, in its order."""
        return self.document.results

    @property
    def made_with(self) -> str:
        """One line that names versions and machine."""
        facts = {**self.document.versions, **self.document.machine}
        return "Measured with " + ", ".join(f"{name} {value}" for name, value in facts.items()) + "."

    @property
    def repair(self) -> str:
        """The command that writes it anew."""
        return command_of(self.path.stem)


def command_of(run: str) -> str:
    """What measures a run."""
    return f"python tools/measure_benchmarks.py {run}"


def read_files(paths: Iterable[Path]) -> list[Measured]:
    """The files in their order.

    Raises:
        UsageError: no evaluation, or a method that stands twice in one place.
    """
    files = [Measured(path, read_document(path)) for path in paths]
    found: dict[tuple[ComparisonKey, str], Path] = {}
    for file in files:
        for result in file.results:
            key = comparison_key(result), result.method
            if key in found:
                named = f"{result.method} on {result.dataset}, {result.degradation},"
                raise UsageError(f"{named} is in {found[key]} and in {file.path}: keep one")
            found[key] = file.path
    return files


def write_page(files: Sequence[Measured]) -> str:
    """The page that these files give."""
    results = [result for file in files for result in file.results]
    made_with = dict.fromkeys(file.made_with for file in files)
    return "\n".join([HEAD, *made_with, ""]) + "\n" + results_as_markdown(results, load_published())


def uncovered(
    files: Sequence[Measured], pretrained: Path = PRETRAINED, runs: Mapping[str, str] = RUNS
) -> Iterator[str]:
    """What is missing until every file that ships is measured, as it ships, wherever a run names it."""
    by_name = {file.path.stem: file for file in files}
    for path in sorted(pretrained.glob("*.safetensors")):
        named = [name for name, flags in runs.items() if path.stem in words_after("-n", flags)]
        if not named:
            yield f"{path.stem} is in no run: name it in tools/benchmark_runs.py"
        for name in named:
            lacking = _lacking(by_name[name].results, fingerprint(path)) if name in by_name else []
            if lacking:
                where = "; ".join(f"{key.dataset}, {key.degradation}" for key in lacking)
                yield f"{path.stem} is not measured as it ships on {where}: {command_of(name)}"


def _lacking(results: Sequence[Result], weights: str) -> list[ComparisonKey]:
    """Places of these results where weights of that fingerprint do not stand with the prior that ships."""
    seen = {
        comparison_key(result)
        for result in results
        if result.network.get("fingerprint") == weights and result.network.get("prior") in (None, "diffusion")
    }
    return [key for key in dict.fromkeys(map(comparison_key, results)) if key not in seen]


def unmeasured(files: Sequence[Measured], runs: Mapping[str, str] = RUNS) -> Iterator[str]:
    """Runs without their file, methods and sets that a run and its file do not share, and files of no run."""
    by_name = {file.path.stem: file for file in files}
    for name, flags in runs.items():
        results = by_name[name].results if name in by_name else ()
        methods, sets = {result.method for result in results}, {result.dataset for result in results}
        named = words_after("-n", flags)
        lacking = [method for method in named if method not in methods]
        lacking += [card for card in (load_card(word).name for word in words_after("-d", flags)) if card not in sets]
        if lacking:
            yield f"{name}.json lacks {', '.join(lacking)}: {command_of(name)}"
        for method in sorted(methods - set(named)):
            yield f"{name}.json has {method}, which its run does not name: {command_of(name)}"
    for name in sorted(by_name.keys() - runs.keys()):
        yield f"{name}.json is of no run: name it in tools/benchmark_runs.py, or git rm docs/benchmarks/{name}.json"


def complaints(docs: Path = DOCS, pretrained: Path = PRETRAINED, runs: Mapping[str, str] = RUNS) -> list[str]:
    """Why the page of this folder may not stand as it is; empty where it may."""
    files, page = read_files(sorted((docs / "benchmarks").glob("*.json"))), docs / "benchmarks.md"
    faults = [*unmeasured(files, runs), *uncovered(files, pretrained, runs)]
    if not page.is_file() or page.read_text("utf-8") != write_page(files):
        faults.append(f"{page.name} is not what its files give: python tools/benchmarks_page.py")
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where the page is stale")
    args = parser.parse_args(arguments)
    try:
        if args.check:
            faults = complaints()
            print("\n".join(faults) or "docs/benchmarks.md is up to date")
            return int(bool(faults))
        text = write_page(read_files(sorted((DOCS / "benchmarks").glob("*.json"))))
    except DiffIRError as error:
        sys.exit(f"benchmarks_page: {error}")
    with write_atomically(DOCS / "benchmarks.md") as file:
        file.write(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
