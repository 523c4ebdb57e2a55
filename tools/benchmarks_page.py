"""Write docs/benchmarks.md from the files of ``diffir eval --json`` in docs/benchmarks/, with published numbers.

python tools/benchmarks_page.py [--check]
--check writes nothing. The exit code is 1 if the page differs from what the files give, or if a run, a set of a run or
weights of a run are missing; each line says how to repair it.
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

Scores of the shipped networks and the baselines, measured with `diffir eval --json`: see [its files](benchmarks). The
interval behind a number is the 95 % interval of the mean over photos (bootstrap). The best number of a column is bold.
Published numbers have separate tables, since they were not measured here and are not ranked with measured ones. Seconds
were taken on a machine that did other work at the same time, so they are upper bounds. Those of `enhance`, `lowlight`
and the networks without a prior are of a CPU with AVX2 (Zen 3), as are all of the recipes `deblur` and `low_light`, and
the others of one with AVX-512.

```bash
python tools/benchmarks_page.py   # writes this page; a test fails if it is out of date
```
"""


@dataclass(frozen=True)
class Measured:
    """One file of ``diffir eval --json`` and its content."""

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
        """The command that measures the file again."""
        return command_of(self.path.stem)


def command_of(run: str) -> str:
    """The command that measures a run."""
    return f"python tools/measure_benchmarks.py {run}"


def read_files(paths: Iterable[Path]) -> list[Measured]:
    """Read files in the order given.

    Raises:
        UsageError: a file is no evaluation, or a method was measured twice on one set under one degradation.
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
    """Write the text of the page from these files."""
    results = [result for file in files for result in file.results]
    made_with = dict.fromkeys(file.made_with for file in files)
    return "\n".join([HEAD, *made_with, ""]) + "\n" + results_as_markdown(results, load_published())


def uncovered(
    files: Sequence[Measured], pretrained: Path = PRETRAINED, runs: Mapping[str, str] = RUNS
) -> Iterator[str]:
    """Yield a line for each weights file that ships and was not measured, as it ships now, by a run that names it."""
    # Every network that ships must be in a run, and be measured wherever a run names it.
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
    """Find what was measured, but not with weights of this fingerprint and their own prior, if any."""
    # Other priors, such as those of an ablation, do not count as the network that ships.
    seen = {
        comparison_key(result)
        for result in results
        if result.network.get("fingerprint") == weights and result.network.get("prior") in (None, "none", "diffusion")
    }
    return [key for key in dict.fromkeys(map(comparison_key, results)) if key not in seen]


def unmeasured(files: Sequence[Measured], runs: Mapping[str, str] = RUNS) -> Iterator[str]:
    """Yield a line for each run without a file, file without a run, and method or set that only one of both has."""
    # Runs and files must name the same methods and sets.
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
        yield f"{name}.json has no run: name it in tools/benchmark_runs.py, or git rm docs/benchmarks/{name}.json"


def complaints(docs: Path = DOCS, pretrained: Path = PRETRAINED, runs: Mapping[str, str] = RUNS) -> list[str]:
    """List why the page of this folder is out of date; empty if it is not."""
    files, page = read_files(sorted((docs / "benchmarks").glob("*.json"))), docs / "benchmarks.md"
    faults = [*unmeasured(files, runs), *uncovered(files, pretrained, runs)]
    if not page.is_file() or page.read_text("utf-8") != write_page(files):
        faults.append(f"{page.name} is not what its files give: python tools/benchmarks_page.py")
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is out of date")
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
