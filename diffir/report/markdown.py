"""Write results as Markdown, for ``docs/benchmarks.md``.

In: results of evaluations, and published rows. Out: for each kind of degradation, tables of measured means with the
conventions behind them, then tables of published numbers, one for each source and protocol; at the end the cost of the
methods. A cell shows the first metric with its interval and the other metrics beneath it, as papers write PSNR / SSIM.
The same input always gives the same text.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from diffir.data.cards.published_rows import PublishedRow, rows_for
from diffir.evaluation.document import Result
from diffir.evaluation.scoring import MeanScore
from diffir.metrics.table import METRICS
from diffir.report.grouping import each_once, grouped
from diffir.report.measures import best_shown, measure_of
from diffir.report.sections import ComparisonKey, comparison_key, left_out_images, sees_ground_truth

MOST_MEASURED = 5  # columns of a table, without the names; chosen by taste
MOST_PUBLISHED = 6  # columns of published numbers, which are narrower because they have no intervals
FEW = 5  # images; results on fewer get a remark
HASH_DIGITS = 12  # of 64; the JSON files hold all digits
NONE = "–"
TITLES = {
    "noise": "Gaussian noise",
    "recipe": "Degradation recipes",
    "jpeg": "JPEG",
    "bicubic": "Super-resolution",
    "mask": "Inpainting",
    "given": "Degraded inputs of the set",
    "none": "Photos without ground truth",
}
Column = TypeVar("Column", bound=tuple[object, ...])
"""A tuple that starts with the name of the set."""


def results_as_markdown(results: Sequence[Result], published: Sequence[PublishedRow]) -> str:
    """Write everything below the head of the page."""
    # Sections in the order of TITLES, with measured and published tables.
    kinds = list(TITLES)
    in_order = sorted(results, key=lambda result: kinds.index(_kind(result)))
    blocks: list[str] = []
    for title, members in grouped(in_order, lambda result: _title(result, published)).items():
        names = list(grouped(members, lambda result: (result.dataset, result.degradation)))
        blocks += [f"## {title}", *_measured(members), _protocol(members), *_published(names, published)]

    # At the end: what is missing, and the costs.
    skipped = dict.fromkeys(f"- {name}: {why}" for result in results for name, why in result.evaluation.skipped.items())
    if skipped:
        blocks += ["## Not measured", "\n".join(skipped)]
    return "\n\n".join([*blocks, "## What the methods cost", *_costs(in_order)]) + "\n"


def _kind(result: Result) -> str:
    """Kind of degradation, a key of ``TITLES``; holes that a recipe cuts count as a mask."""
    return "mask" if result.degradation.startswith("mask ") else str(result.degradation_facts["kind"])


def _title(result: Result, published: Sequence[PublishedRow]) -> str:
    kind = _kind(result)
    beside = rows_for(result.dataset, result.degradation, published) if kind == "given" else ()
    return f"{TITLES[kind]}: {beside[0].task}" if beside else TITLES[kind]


def _measured(results: Sequence[Result]) -> Iterator[str]:
    # A column for each set of results that can be ranked.
    columns = grouped(results, comparison_key)
    heads = _heads(columns)
    metrics = each_once(name for result in results for name in result.evaluation.scores)
    yield f"{_legend(metrics)}."
    for keys in _side_by_side(list(columns), MOST_MEASURED):
        cells = [_measured_column(columns[key], metrics) for key in keys]
        yield _table("method", [heads[key] for key in keys], cells)

    # Remarks on images that were left out, and on small samples.
    yield from each_once(f"{line}." for result in results for line in left_out_images(result))
    for result in (column[0] for column in columns.values()):
        if result.count < FEW:
            yield f"{result.dataset}, {result.degradation}: n = {result.count}: too few images for a conclusion."


def _measured_column(column: Sequence[Result], metrics: Sequence[str]) -> dict[str, str]:
    """Method -> cell; the best value of the first metric is bold."""
    first = measure_of(metrics[0])
    rivals = [result for result in column if not sees_ground_truth(result)]
    best = best_shown(first, [r.evaluation.means.get(first.name) for r in rivals])
    return {r.method: _cell(r.evaluation.scores, metrics, best if r in rivals else set()) for r in column}


def _published(names: Sequence[tuple[str, str]], published: Sequence[PublishedRow]) -> Iterator[str]:
    """Write tables of published numbers; ``names`` are pairs of set and degradation."""
    # Rows of one source and protocol share a table.
    by_source: dict[tuple[str, str], dict[tuple[str, str], list[PublishedRow]]] = {}
    for name in names:
        for row in rows_for(*name, published):
            by_source.setdefault((row.protocol, row.source), {}).setdefault(name, []).append(row)
    for (protocol, source), columns in by_source.items():
        known = {metric for column in columns.values() for row in column for metric in row.scores}
        metrics = [metric for metric in METRICS if metric in known]
        yield f"*Published, not measured here:* {protocol}. Source: {source}. {_legend(metrics)}."
        for part in _side_by_side(list(columns), MOST_PUBLISHED):
            cells = [{row.method: _cell(_means(row), metrics, set()) for row in columns[name]} for name in part]
            yield _table("published", ["<br>".join(name) for name in part], cells)


def _cell(scores: Mapping[str, MeanScore], metrics: Sequence[str], best: set[str]) -> str:
    """Format one cell: the first metric with its interval, the other metrics beneath it."""
    shown = [measure_of(name).show(scores[name].value if name in scores else None) for name in metrics]
    first, mean = shown[0], scores.get(metrics[0])
    top = f"**{first}**" if first in best else first
    if mean and mean.low is not None and mean.high is not None:
        low, high = (measure_of(metrics[0]).show(end) for end in (mean.low, mean.high))
        top += f" ({low} to {high})"
    return top + ("<br>" + " / ".join(shown[1:]) if shown[1:] else "")


def _legend(metrics: Sequence[str]) -> str:
    heads = [METRICS[name].heading if name in METRICS else name for name in metrics]
    return heads[0] + (f", beneath it {' / '.join(heads[1:])}" if heads[1:] else "")


def _protocol(results: Sequence[Result]) -> str:
    """List the conventions that all results of a section share, then the others with the results they apply to."""
    stated = [(result, _conventions(result)) for result in results]
    parts = each_once(part for _, own in stated for part in own)
    followers = {part: [result for result, own in stated if part in own] for part in parts}

    # Split into what all share and what only some follow.
    shared = [part for part in parts if len(followers[part]) == len(results)]
    special = grouped([part for part in parts if part not in shared], lambda part: _who(followers[part], results))
    lines = [f"- {who}: {'; '.join(own)}" for who, own in special.items()]
    return "\n".join([f"Protocol: {'; '.join(shared)}." if shared else "Protocol:", *([""] if lines else []), *lines])


def _conventions(result: Result) -> list[str]:
    """Split the protocol line; the number of images is left out (a heading has it), the degradation stays one part."""
    line, done = result.protocol_line, str(result.degradation_facts.get("description", ""))
    # The description of the degradation may contain "; " itself.
    before, found, after = line.partition(done) if done else (line, "", "")
    parts = [*before.split("; "), *([done] if found else []), *after.split("; ")]
    return [part for part in parts if part and not part.startswith(f"{result.dataset}, mean over")]


def _who(some: Sequence[Result], every: Sequence[Result]) -> str:
    """Name some of the results briefly: by degradation, set or method, if one of these selects exactly them."""
    for key in ("degradation", "dataset", "method"):
        values = each_once(getattr(result, key) for result in some)
        if sum(getattr(result, key) in values for result in every) == len(some):
            return ", ".join(values)
    return "; ".join(f"{result.method} on {result.dataset}, {result.degradation}" for result in some)


def _costs(results: Sequence[Result]) -> Iterator[str]:
    """Write one row for each method and version: description, size, time and memory."""
    rows = []
    for (method, summary, digest), members in grouped(results, _version).items():
        # Size is the same everywhere; time and memory differ between sets.
        first = members[0]
        seconds = sorted(result.evaluation.seconds for result in members if result.evaluation.seconds is not None)
        peaks = [result.evaluation.peak_memory_mb for result in members if result.evaluation.peak_memory_mb is not None]
        times = each_once(f"{time:.2g}" for time in (seconds[:1] + seconds[-1:]))
        rows.append(
            [
                method,
                summary,
                NONE if first.parameters is None else f"{first.parameters / 1e6:.2f}",
                NONE if first.multiply_adds is None else f"{first.multiply_adds / 1e9:.1f}",
                " to ".join(times) or NONE,
                f"{max(peaks):.0f}" if peaks else NONE,
                f"`{digest[:HASH_DIGITS]}`" if digest else NONE,
            ]
        )
    yield (
        "Seconds are the mean time of an image, from the fastest to the slowest set; memory is the largest of all "
        "images. Multiply-adds are those of one input of 256 x 256 pixels."
    )
    heads = ["method", "what it is", "parameters, M", "multiply-adds, G", "s / image", "peak memory, MB", "fingerprint"]
    yield _lines([heads, *rows])


def _version(result: Result) -> tuple[str, str, str]:
    return result.method, result.summary, str(result.network.get("fingerprint", ""))


def _side_by_side(columns: Sequence[Column], most: int) -> list[list[Column]]:
    """Divide columns among tables: columns of one set stay together, and sets share a table while they fit."""
    tables: list[list[Column]] = [[]]
    for group in grouped(columns, lambda column: column[0]).values():
        for start in range(0, len(group), most):
            piece = group[start : start + most]
            if len(tables[-1]) + len(piece) > most:
                tables.append([])
            tables[-1] += piece
    return [table for table in tables if table]


def _table(corner: str, heads: Sequence[str], columns: Sequence[Mapping[str, str]]) -> str:
    """Write a table with a row for each name; a dash marks a name that a column does not have."""
    names = each_once(name for column in columns for name in column)
    return _lines([[corner, *heads], *([name, *(column.get(name, NONE) for column in columns)] for name in names)])


def _lines(rows: Sequence[Sequence[str]]) -> str:
    texts = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([texts[0], "|---" * len(rows[0]) + "|", *texts[1:]])


def _heads(columns: Mapping[ComparisonKey, Sequence[Result]]) -> dict[ComparisonKey, str]:
    """Head each column by set, degradation and number of images; equal heads also get what distinguishes them."""
    heads = {k: f"{k.dataset}<br>{k.degradation}<br>{_count(column[0])}" for k, column in columns.items()}
    for alike in grouped(list(heads), heads.__getitem__).values():
        lines = list(zip(*map(_particulars, alike), strict=True))
        for number, key in enumerate(alike):
            heads[key] += "".join(f"<br>{line[number]}" for line in lines if len(set(line)) > 1)
    return heads


def _particulars(key: ComparisonKey) -> tuple[str, str, str]:
    degradation = hashlib.sha256(key.degradation_facts.encode()).hexdigest()
    hashes = f"files `{key.data_sha256[:HASH_DIGITS]}`", f"degradation `{degradation[:HASH_DIGITS]}`"
    return str(key.protocol), *hashes


def _count(result: Result) -> str:
    of = f" of {result.of}" if result.of else ""
    return f"{result.count}{of} images"


def _means(row: PublishedRow) -> dict[str, MeanScore]:
    return {name: MeanScore(value) for name, value in row.scores.items()}
