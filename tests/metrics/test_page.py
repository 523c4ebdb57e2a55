"""docs/metrics.md agrees with the list of metrics."""

from pathlib import Path

from diffir.metrics.metric import Metric
from diffir.metrics.table import METRICS
from diffir.metrics.weight_files import PUBLIC_FILES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def bound(value: float) -> str:
    return f"{value:g}".replace("inf", "∞")


def needs(row: Metric) -> str:
    words = {"mask": row.needs_mask, "ground truth": row.needs_reference, row.package: row.package}
    return ", ".join([word for word, needed in words.items() if needed] + [f"`{name}`" for name in row.files]) or "-"


def metrics_table() -> str:
    lines = ["| name | better | range | needs | what is computed |", "|---|---|---|---|---|"]
    for row in METRICS.values():
        names = ", ".join(f"`{name}`" for name in (row.name, *row.aliases))
        span = f"{bound(row.range[0])} to {bound(row.range[1])} {row.unit}".rstrip()
        direction = "higher" if row.higher_is_better else "lower"
        lines.append(f"| {names} | {direction} | {span} | {needs(row)} | {row.definition} |")
    return "\n".join(lines)


def files_table() -> str:
    lines = ["| name | in the cache | from |", "|---|---|---|"]
    lines += [f"| `{name}` | `{file.in_cache}` | <{file.url}> |" for name, file in PUBLIC_FILES.items()]
    return "\n".join(lines)


def test_the_page_lists_every_metric_as_the_table_does():
    assert metrics_table() in PAGE.read_text("utf-8"), f"put this into docs/metrics.md:\n{metrics_table()}"


def test_the_page_lists_every_weight_file():
    assert files_table() in PAGE.read_text("utf-8"), f"put this into docs/metrics.md:\n{files_table()}"
