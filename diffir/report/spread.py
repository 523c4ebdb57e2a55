"""The distribution of scores over images: for each measure a strip of dots per method, and a table of all images.

In: results that can be ranked with one another. Out: HTML with SVG, one panel for each measure; the script shows one
panel at a time. A dot is an image, the box holds the middle half, its line is the median (Tukey, 1977). Positions are
percentages, so that strips fit any width while dots stay round.
"""

import math
import statistics
from collections.abc import Sequence

from diffir.evaluation.document import Result
from diffir.evaluation.scoring import ImageScores
from diffir.report.markup import Html, join, tag
from diffir.report.measures import MEMORY, SECONDS, Measure, best_shown, image_measures, of_image
from diffir.report.scale import Scale, keep_apart
from diffir.report.score_table import measure_head, number_cell, scrolling, sort_head
from diffir.report.sections import primary_of, sees_ground_truth

HEIGHT = 46  # pixels of a strip; this and the next two are chosen by taste
DIAMETER = 7.0  # pixels of a dot
NOMINAL_WIDTH = 1000  # pixels of the width at which dots do not touch; on a narrower page they overlap
FEWEST_FOR_A_BOX = 5


def spread(table: Sequence[Result], name: str) -> Html | None:
    """Write the panels of one table; ``name`` is unique on the page. None if images have no values."""
    # The measures that any image has, and a button for each.
    every = [image for result in table for image in result.evaluation.images]
    known = (*image_measures(table), SECONDS, MEMORY)
    measures = [m for m in known if any(of_image(m, image) is not None for image in every)]
    if not measures:
        return None
    choices = [
        tag("label", tag("input", type="radio", name=name, value=number, checked=number == 0), tag("span", m.label))
        for number, m in enumerate(measures)
    ]
    return tag(
        "div",
        tag("h3", "Image by image"),
        tag("fieldset", tag("legend", "Measure", class_="unseen"), *choices, class_="choice"),
        *(tag("div", _strips(table, m), _image_table(table, m), class_="panel") for m in measures),
        class_="spread",
    )


def _strips(table: Sequence[Result], measure: Measure) -> Html | None:
    """Draw one strip for each method and their common axis; None if there is no finite value."""
    finite = _finite(table, measure)
    if not finite:
        return None

    # All strips of a measure share one axis.
    scale = Scale.around(finite)
    primary = primary_of(table)
    ticks = [tag("text", scale.label(t), x=f"{scale.place(t)}%", y=14, text_anchor="middle") for t in scale.ticks]
    unit = f", {measure.unit}" if measure.unit else ""
    box = (
        "; a box holds the middle half, its line is the median"
        if len(table[0].evaluation.images) >= FEWEST_FOR_A_BOX
        else ""
    )
    return tag(
        "figure",
        *(_strip(result, measure, scale, is_primary=result is primary) for result in table),
        tag("svg", *ticks, class_="axis", aria_hidden="true"),
        tag("figcaption", f"{measure.label}{unit}. A dot is an image{box}."),
        tag("output", class_="readout"),
        class_="strips",
    )


def _strip(result: Result, measure: Measure, scale: Scale, *, is_primary: bool) -> Html:
    # Infinite values have no position; their number is shown beside the method.
    drawn = sorted(_drawn(result, measure), key=lambda pair: pair[1])
    values = [value for _, value in drawn]
    left_out = len(result.evaluation.images) - len(drawn)
    grid = [_upright(scale.place(tick), 0, HEIGHT, "grid") for tick in scale.ticks]

    # The description for screen readers.
    said = f"{result.method}: {measure.label} of {len(drawn)} images"
    if drawn:
        said += f", from {measure.show(values[0])} to {measure.show(values[-1])}. Arrow keys go from image to image."
    return tag(
        "div",
        tag("p", result.method, tag("span", f"{left_out} not finite, not drawn", class_="under") if left_out else None),
        tag(
            "svg", *grid, _box(values, scale), *_dots(drawn, measure, scale), height=HEIGHT, role="img", aria_label=said
        ),
        class_="strip primary" if is_primary else "strip",
        tabindex=0,
        role="group",
        aria_label=said,
        data_method=result.method,
    )


def _dots(drawn: Sequence[tuple[ImageScores, float]], measure: Measure, scale: Scale) -> list[Html]:
    # Dots that would touch move up or down.
    places = [scale.place(value) for _, value in drawn]
    heights = keep_apart([p * NOMINAL_WIDTH / 100 for p in places], DIAMETER, (HEIGHT - DIAMETER) / 2)
    return [
        tag(
            "circle",
            tag("title", f"{image.name}: {measure.show(value)} {measure.unit}".rstrip()),
            cx=f"{place}%",
            cy=round(HEIGHT / 2 + height, 1),
            r=DIAMETER / 2,
            data_image=image.name,
        )
        for (image, value), place, height in zip(drawn, places, heights, strict=True)
    ]


def _box(values: Sequence[float], scale: Scale) -> Html | None:
    if len(values) < FEWEST_FOR_A_BOX:
        return None
    low, middle, high = (scale.place(q) for q in statistics.quantiles(values, n=4, method="inclusive"))
    box = tag("rect", x=f"{low}%", y=3, width=f"{high - low:.2f}%", height=HEIGHT - 6, rx=3, class_="box")
    return join(box, _upright(middle, 3, HEIGHT - 3, "median"))


def _upright(place: float, top: float, bottom: float, kind: str) -> Html:
    return tag("line", x1=f"{place}%", x2=f"{place}%", y1=top, y2=bottom, class_=kind)


def _image_table(table: Sequence[Result], measure: Measure) -> Html:
    heads = [sort_head("Image"), sort_head("Pixels", numeric=True)]
    heads += [measure_head(measure, result.method) for result in table]

    # A row for each image, with a cell for each method.
    rows = []
    for images in zip(*(result.evaluation.images for result in table), strict=True):
        name, width, height = images[0].name, images[0].width, images[0].height
        named = tag("th", name, scope="row", data_value=name)
        size = number_cell(width * height, f"{width} × {height}")
        rows.append(tag("tr", named, size, *_cells(measure, table, [of_image(measure, image) for image in images])))
    label = f"{measure.label} of every image"
    return tag(
        "details",
        tag("summary", label),
        scrolling(tag("thead", tag("tr", *heads)), tag("tbody", *rows), label=label, class_="dense"),
    )


def _cells(measure: Measure, table: Sequence[Result], values: Sequence[float | None]) -> list[Html]:
    best = best_shown(measure, [v for v, r in zip(values, table, strict=True) if not sees_ground_truth(r)])
    return [
        number_cell(value, measure.show(value), class_="best" if is_best else "")
        for value, is_best in (
            (value, measure.show(value) in best and not sees_ground_truth(result))
            for value, result in zip(values, table, strict=True)
        )
    ]


def _finite(table: Sequence[Result], measure: Measure) -> list[float]:
    return [value for result in table for _, value in _drawn(result, measure)]


def _drawn(result: Result, measure: Measure) -> list[tuple[ImageScores, float]]:
    pairs = ((image, of_image(measure, image)) for image in result.evaluation.images)
    return [(image, value) for image, value in pairs if value is not None and math.isfinite(value)]
