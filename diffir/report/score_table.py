"""The table of a section: methods by measures with intervals, notes on the protocol, and a table of published rows.

In: results that can be ranked with one another; published rows of the same set and degradation. Out: HTML. The best
measured value of a column is marked. A method whose prior saw the ground truth is an upper bound and is never marked,
and neither is a published row.
"""

import math
from collections.abc import Callable, Sequence

from diffir.data.cards.published_rows import PublishedRow
from diffir.evaluation.document import Result
from diffir.evaluation.prior_rows import MEANINGS, PRIOR_KINDS, Spread
from diffir.evaluation.scoring import MeanScore
from diffir.report.markup import Html, tag
from diffir.report.measures import MEMORY, SECONDS, Measure, best_shown, measure_of, metric_measures
from diffir.report.sections import left_out_images, sees_ground_truth

KINDS = {"network": "network", "baseline": "baseline", "foreign": "other network", "folder": "files of a folder"}


def score_table(table: Sequence[Result], title: str) -> Html:
    """Write methods by measures as a sortable table; the script fills ``aria-sort``."""
    # The measures: metrics, then those costs that any method has.
    costs = [
        (SECONDS, lambda r: r.evaluation.seconds, None),
        (MEMORY, lambda r: r.evaluation.peak_memory_mb, None),
        (Measure("", "Parameters", "", 0, None), lambda r: r.parameters, with_prefix),
        (Measure("", "Multiply-adds", "256 × 256", 0, None), lambda r: r.multiply_adds, with_prefix),
    ]
    columns = [_metric_column(measure, table) for measure in metric_measures(table)]
    columns += [_cost_column(*cost, table) for cost in costs if any(cost[1](r) is not None for r in table)]

    # Columns become rows, one for each method.
    heads = [sort_head("Method"), *(head for head, _ in columns)]
    rows = [
        tag("tr", _method_cell(result), *(cells[number] for _, cells in columns)) for number, result in enumerate(table)
    ]
    return scrolling(
        tag("caption", title, class_="unseen"), tag("thead", tag("tr", *heads)), tag("tbody", *rows), label=title
    )


def scrolling(*children: Html, label: str, class_: str = "") -> Html:
    """Wrap a table so that it scrolls sideways by touch, wheel or arrow keys if it is wider than the page."""
    return tag(
        "div", tag("table", *children, class_=class_), class_="wide", tabindex=0, role="region", aria_label=label
    )


def sort_head(head: Html | str, *, first: str = "ascending", numeric: bool = False) -> Html:
    """Make a column head that sorts; ``first`` is the direction of the first click."""
    button = tag("button", head, type="button")
    return tag("th", button, scope="col", aria_sort="none", data_first=first, class_="number" if numeric else None)


def number_cell(value: float | None, *children: Html | str | None, class_: str = "") -> Html:
    """Make a cell that sorts by its value; missing values come last."""
    is_missing = value is None or math.isnan(value)
    return tag("td", *children, data_value="" if is_missing else value, class_=f"number {class_}".strip())


def with_prefix(value: float | None) -> str:
    """Format a count with a prefix, such as 3290000 -> 3.29 M."""
    if value is None:
        return "–"
    # Three significant digits.
    for factor, prefix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= factor:
            digits = max(0, 3 - len(str(int(value / factor))))
            return f"{value / factor:.{digits}f}{prefix}"
    return f"{value:.0f}"


def measure_head(measure: Measure, method: str | None = None) -> Html:
    """Make the head of a column of numbers, or of one method's numbers; the first click puts the best on top."""
    first = "descending" if measure.higher_is_better else "ascending"
    return sort_head(measure.head if method is None else method, first=first, numeric=True)


def notes(table: Sequence[Result]) -> Html:
    """Write what the numbers depend on: skipped metrics, kinds of prior, protocol, weights, data and settings."""
    # Remarks: skipped metrics, upper bounds, kinds of prior and their spread.
    skipped = _who_shares(
        table, lambda r: [f"{measure_of(name).label} skipped: {why}" for name, why in r.evaluation.skipped.items()]
    )
    bounds = [r.method for r in table if sees_ground_truth(r)]
    priors = [f"{r.method}: {MEANINGS[kind]}." for r in table for kind in PRIOR_KINDS if r.network.get("prior") == kind]
    spreads = [f"{r.method}, {_spread_of(r)}." for r in table if r.prior_spread]
    return tag(
        "div",
        *(tag("p", line, class_="skipped") for line in skipped),
        *(tag("p", f"{line}.") for line in _who_shares(table, left_out_images)),
        *(tag("p", line) for line in (priors if len(priors) > 1 else [])),
        *(tag("p", line) for line in spreads),
        tag("p", f"{', '.join(bounds)}: sees the ground truth; a bound, not ranked.") if bounds else None,
        tag("details", tag("summary", f"Protocol ({table[0].evaluation.protocol}), weights, data"), _facts(table)),
        class_="notes",
    )


def _spread_of(result: Result) -> Spread:
    spread = result.prior_spread
    return Spread(int(spread["noises"]), spread["psnr"], spread["pixel"], spread["prior"])


def published_table(rows: Sequence[PublishedRow], title: str) -> Html | None:
    """Write rows from papers in the order given; they are neither sorted nor marked."""
    if not rows:
        return None
    measures = [measure_of(name) for name in dict.fromkeys(name for row in rows for name in row.scores)]
    heads = [tag("th", "Method", scope="col"), *(tag("th", m.head, scope="col", class_="number") for m in measures)]
    heads += [tag("th", "Source and protocol", scope="col")]
    body = [
        tag(
            "tr",
            tag("th", row.method, scope="row"),
            *(number_cell(row.scores.get(m.name), m.show(row.scores.get(m.name))) for m in measures),
            tag(
                "td",
                tag("span", row.source),
                tag("span", row.protocol, class_="under"),
                class_="source",
            ),
        )
        for row in rows
    ]
    return tag(
        "div",
        tag("h3", "Published, not measured here"),
        scrolling(tag("thead", tag("tr", *heads)), tag("tbody", *body), label=f"Published: {title}"),
        class_="published",
    )


def _metric_column(measure: Measure, table: Sequence[Result]) -> tuple[Html, list[Html]]:
    # Values that are shown alike are marked alike.
    means = [result.evaluation.scores.get(measure.name) for result in table]
    best = best_shown(measure, [m.value for m, r in zip(means, table, strict=True) if m and not sees_ground_truth(r)])
    cells = []
    for mean, result in zip(means, table, strict=True):
        shown = measure.show(mean.value if mean else None)
        is_best = shown in best and not sees_ground_truth(result)
        cells.append(
            number_cell(
                mean.value if mean else None,
                tag("span", shown, tag("span", " (best)", class_="unseen") if is_best else None, class_="mean"),
                _interval(measure, mean),
                class_="best" if is_best else "",
            )
        )
    return measure_head(measure), cells


def _interval(measure: Measure, mean: MeanScore | None) -> Html | None:
    if mean is None or mean.low is None or mean.high is None:
        return None
    return tag("span", f"{measure.show(mean.low)} – {measure.show(mean.high)}", class_="under")


def _cost_column(
    measure: Measure,
    read: Callable[[Result], float | None],
    show: Callable[[float | None], str] | None,
    table: Sequence[Result],
) -> tuple[Html, list[Html]]:
    values = [None if (value := read(result)) is None else float(value) for result in table]
    return measure_head(measure), [number_cell(value, (show or measure.show)(value)) for value in values]


def _method_cell(result: Result) -> Html:
    kind = KINDS.get(result.kind, result.kind)
    return tag(
        "th", tag("span", result.method), tag("span", kind, class_="under"), scope="row", data_value=result.method
    )


def _facts(table: Sequence[Result]) -> Html:
    """List protocol, settings, fingerprints and data hashes as terms and descriptions."""
    facts = [tag("dt", "protocol")]
    facts += [tag("dd", line) for line in _who_shares(table, lambda r: [r.protocol_line or "not known"])]
    for result in table:  # the summary and the settings of each method
        settings = [f"{key} {value}" for key, value in result.network.items() if key != "fingerprint"]
        facts += [tag("dt", result.method), tag("dd", result.summary)]
        facts += [tag("dd", ", ".join(settings))] if settings else []
        facts += (
            [tag("dd", "fingerprint ", tag("code", str(result.network["fingerprint"])))]
            if "fingerprint" in result.network
            else []
        )
    facts += [tag("dt", "data")]
    facts += [tag("dd", "sha256 ", tag("code", line)) for line in _who_shares(table, lambda r: [r.data_sha256])]
    return tag("dl", *facts)


def _who_shares(table: Sequence[Result], lines_of: Callable[[Result], Sequence[str]]) -> list[str]:
    """List every line once, followed by the methods it applies to unless it applies to all."""
    owners: dict[str, list[str]] = {}
    for result in table:
        for line in lines_of(result):
            owners.setdefault(line, []).append(result.method)
    return [line if len(who) == len(table) else f"{line} ({', '.join(who)})" for line, who in owners.items()]
