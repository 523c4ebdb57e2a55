"""Write docs/benchmarks.md from the files of ``diffir eval --json`` in docs/benchmarks/, published numbers beside them.

python tools/benchmarks_page.py [--check]
--check writes nothing: exit code 1 where the page is not what the files give, or a shipped weight is not in them.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from diffir.data.published_rows import load_published
from diffir.errors import DiffIRError, UsageError
from diffir.files import write_atomically
from diffir.report.document import Result, read_sections
from diffir.report.markdown import Place, place_of, results_as_markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
PRETRAINED = DOCS.parent / "diffir" / "weights" / "pretrained"
HEAD = """# Benchmarks

What the shipped networks and the baselines get, as `diffir eval --json` measured it: see [its files](benchmarks). The
interval behind a number is that of the mean over photos (95 %, bootstrap); the best of a column is bold. Published
numbers have tables of their own: they were not measured here and are not ranked with ours.

```bash
python tools/benchmarks_page.py   # makes this page; a test fails when it is stale
```
"""


def read_results(paths: Iterable[Path]) -> tuple[list[Result], list[str]]:
    """All results in the order of the files, and one line on each machine and its versions.

    Raises:
        UsageError: no evaluation, or a method that stands twice for one set, condition and protocol.
    """
    found: dict[tuple[Place, str], tuple[Path, Result]] = {}
    made_with = []
    for path in paths:
        try:
            document = json.loads(path.read_text("utf-8"))
            sections = read_sections(document)
        except (json.JSONDecodeError, UsageError) as error:
            raise UsageError(f"{path}: {error}") from error
        for result in (r for section in sections for table in section.tables for r in table):
            key = place_of(result), result.method
            if key in found:
                named = f"{result.method} on {result.dataset}, {result.condition},"
                raise UsageError(f"{named} is in {found[key][0]} and in {path}: keep one")
            found[key] = path, result
        facts = {**document["versions"], **document["machine"]}
        made_with.append("Measured with " + ", ".join(f"{name} {value}" for name, value in facts.items()) + ".")
    return [result for _, result in found.values()], list(dict.fromkeys(made_with))


def write_page(paths: Iterable[Path]) -> str:
    """The page that these files give."""
    results, made_with = read_results(paths)
    return "\n".join([HEAD, *made_with, ""]) + "\n" + results_as_markdown(results, load_published())


def uncovered(results: Sequence[Result], pretrained: Path = PRETRAINED) -> list[str]:
    """What is missing until every file that ships is measured on every set where a network stands."""
    seen = {(result.dataset, result.network.get("sha256")) for result in results if result.kind == "network"}
    datasets = sorted({dataset for dataset, _ in seen}) or ["SET"]
    missing = []
    for path in sorted(pretrained.glob("*.safetensors")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        missing += [f"diffir eval -n {path.stem} -d {name}" for name in datasets if (name, digest) not in seen]
    return [f"not measured as it ships: {command} --json docs/benchmarks/FILE.json" for command in missing]


def complaints(docs: Path = DOCS, pretrained: Path = PRETRAINED) -> list[str]:
    """Why the page of this folder may not stand as it is; empty where it may."""
    paths, page = sorted((docs / "benchmarks").glob("*.json")), docs / "benchmarks.md"
    faults = uncovered(read_results(paths)[0], pretrained)
    if not page.is_file() or page.read_text("utf-8") != write_page(paths):
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
        text = write_page(sorted((DOCS / "benchmarks").glob("*.json")))
    except DiffIRError as error:
        sys.exit(f"benchmarks_page: {error}")
    with write_atomically(DOCS / "benchmarks.md") as file:
        file.write(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
