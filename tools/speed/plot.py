"""The plot of a report of ``tools.speed``: bars of ratios with their spread, or cost against pixels.

In: a ``Report``. Out: a PNG with one panel for each number of threads. Only this module needs matplotlib.
"""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from diffir.files import write_atomically
from tools.speed.report import Report, Row

_INK, _FAINT = "#333333", "#c8c8c8"
_BLUES = ("#9ecae1", "#4a98c9", "#1764ab", "#08306b")  # from small photos to large ones (ColorBrewer)
_HUES = ("#1764ab", "#d1742f", "#4a9a6a", "#8a63a8", "#777777")
_INCHES = 4.6  # width of a panel
_RATIO = "times as fast as the literal network (seconds / seconds)"


def draw(report: Report, path: Path) -> None:
    """Draw a report and write it as PNG."""
    threads = sorted({row.cell.threads for row in report.rows})
    is_growth = report.plan.work == "growth"
    height = 4.6 if is_growth else 1.7 + 0.3 * len({(row.contender, _size(row)) for row in report.rows})
    with matplotlib.rc_context({"font.size": 9, "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _FAINT}):
        figure = Figure(figsize=(_INCHES * len(threads) + 1, height), layout="constrained")
        # Draw one panel for each number of threads.
        panels = figure.subplots(1, len(threads), sharey=True, sharex=True, squeeze=False)[0]
        for axes, number in zip(panels, threads, strict=True):
            rows = [row for row in report.rows if row.cell.threads == number]
            (_draw_growth if is_growth else _draw_ratios)(axes, rows)
            axes.set_xlabel("size of the photo (pixels, logarithmic)" if is_growth else _RATIO)
            axes.set_title(f"{number} thread{'s' * (number > 1)}", loc="left", fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
        # Add title and legend, and write the file.
        figure.suptitle(_title(report), x=0.01, ha="left", fontsize=9)
        marks, names = panels[0].get_legend_handles_labels()
        figure.legend(marks, names, loc="outside lower center", ncols=max(len(names), 1), frameon=False)
        with write_atomically(path) as file:
            figure.savefig(file, format="png", dpi=150)


def _title(report: Report) -> str:
    machine, plan = report.machine, report.plan
    where = machine.cpu if machine.device == "cpu" else machine.device
    what = {"restore": "restoring", "train": "a training step", "growth": "cost of restoring"}[plan.work]
    return f"{plan.choice}, {what}\n{where}, torch {machine.torch}, median of {plan.rounds} rounds"


def _size(row: Row) -> str:
    return f"{row.cell.height}x{row.cell.width}"


def _draw_ratios(axes: Axes, rows: list[Row]) -> None:
    """Draw a group of bars for each contender with a bar for each size; whiskers run from least to greatest."""
    rows = [row for row in rows if row.contender != "plain"]
    names = list(dict.fromkeys(row.contender for row in rows))
    sizes = list(dict.fromkeys(_size(row) for row in rows))
    thick = 0.8 / max(len(sizes), 1)
    for number, size in enumerate(sizes):
        own = [row for row in rows if _size(row) == size and row.ratio]
        places = [names.index(row.contender) + (number - (len(sizes) - 1) / 2) * thick for row in own]
        medians = [row.ratio.median for row in own]
        spread = [
            [row.ratio.median - row.ratio.least for row in own],
            [row.ratio.greatest - row.ratio.median for row in own],
        ]
        whiskers = {"ecolor": _INK, "elinewidth": 0.8, "capsize": 2}
        axes.barh(places, medians, thick * 0.9, xerr=spread, error_kw=whiskers, color=_BLUES[number % 4], label=size)
        for row, place in zip(own, places, strict=True):
            beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
            axes.annotate(f"{row.ratio.median:.2f}", (row.ratio.greatest, place), **beside)
    axes.axvline(1, color=_INK, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.12)


def _draw_growth(axes: Axes, rows: list[Row]) -> None:
    """Plot seconds per megapixel over pixels, both logarithmic; a level line means cost linear in pixels."""
    for number, name in enumerate(dict.fromkeys(row.contender for row in rows)):
        own = [row for row in rows if row.contender == name]
        pixels = [row.cell.batch * row.cell.height * row.cell.width for row in own]
        cost = [row.time.median / count * 1e6 for row, count in zip(own, pixels, strict=True)]
        axes.loglog(pixels, cost, marker="o", markersize=4, color=_HUES[number % len(_HUES)], label=name)
    sizes = {row.cell.batch * row.cell.height * row.cell.width: _size(row) for row in rows}
    axes.set_xticks(list(sizes), sizes.values(), rotation=30, ha="right")
    axes.set_ylabel("seconds per megapixel (logarithmic)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(color=_FAINT, linewidth=0.4)
