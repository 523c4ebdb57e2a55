"""The view of one case: two of its pictures under a divider, two zoom lenses and the scores.

In: a case, and the method that its section is about. Out: HTML, which the script makes interactive; without the script
the pictures are shown side by side. The page computes error maps from the pictures, so they add nothing to its size.
"""

from diffir.report.cases import GROUND_TRUTH, INPUT, Case
from diffir.report.crops import (
    LARGEST_SIDE,
    POINT_SIDE,
    Window,
    check_pictures,
    error_of,
    image_address,
    worst_window,
)
from diffir.report.markup import Html, tag
from diffir.report.measures import measure_of

ZOOMS = (100, 200, 400)  # percent; at 100 one pixel of the picture is one CSS pixel of the page
FIRST_ZOOM = 200
WHITE_ERROR = 32  # of 255: the mean difference over channels that the error map draws in its brightest colour


def case_view(case: Case, primary: str, number: int) -> Html:
    """Write the view of a case.

    Args:
        primary: the method that is shown first, if the case has it.
        number: a number that is unique on the page.
    Raises:
        ImageError: the pictures are not of one size and type.
    """
    check_pictures(case)

    # Crop to the part with the largest error; the zoom opens on its worst point.
    error = error_of(case.pictures)
    window = worst_window(error, LARGEST_SIDE)
    point = worst_window(window.cut(error), POINT_SIDE)
    return tag(
        "article",
        tag(
            "header", tag("h4", case.name), tag("p", case.why, class_="why"), tag("p", _size(case, window, error.shape))
        ),
        tag("div", *(_picture(case, name, window) for name in case.pictures), class_="pictures"),
        tag("div", _pickers(case, primary), _stage(case), _zoom(number), class_="viewer", hidden=True),
        class_="case",
        data_x=point.left + point.width // 2,
        data_y=point.top + point.height // 2,
        data_white_error=WHITE_ERROR,
    )


def _size(case: Case, window: Window, whole: tuple[int, ...]) -> str:
    size = f"{window.width} × {window.height}"
    if (window.height, window.width) == whole:
        return f"{size} pixels, the whole picture"
    what = "error" if GROUND_TRUTH in case.pictures else "change"
    return f"{size} pixels of {whole[1]} × {whole[0]}: the part with the largest {what}"


def _picture(case: Case, name: str, window: Window) -> Html:
    scores = _scores(case, name)
    return tag(
        "figure",
        tag("img", src=image_address(window.cut(case.pictures[name])), alt=f"{case.name}, {name}", data_name=name),
        tag("figcaption", tag("span", name), tag("span", scores, class_="under") if scores else None),
    )


def _scores(case: Case, name: str) -> str:
    """Format the scores of a picture, such as "PSNR 30.12 dB, SSIM 0.8912"; empty for the ground truth."""
    shown = ((measure_of(metric), score) for metric, score in case.scores.get(name, {}).items())
    return ", ".join(f"{measure.label} {measure.show(score)} {measure.unit}".rstrip() for measure, score in shown)


def _pickers(case: Case, primary: str) -> Html:
    # At first, the input is on the left and the method of the section on the right.
    names = list(case.pictures)
    left = names.index(INPUT) if INPUT in names else 0
    shown_first = [primary, *case.methods, GROUND_TRUTH, names[-1]]
    right = names.index(next(name for name in shown_first if name in names))
    return tag("div", _picker(case, "Left", left), _picker(case, "Right", right), class_="pickers")


def _stage(case: Case) -> Html:
    # A slider for pointer and keys.
    divider = tag(
        "div",
        tag("span", class_="grip", aria_hidden="true"),
        class_="divider",
        role="slider",
        tabindex=0,
        aria_label=f"Divider between the two pictures of {case.name}",
        aria_valuemin=0,
        aria_valuemax=100,
        aria_valuenow=50,
    )
    return tag(
        "div",
        tag(
            "div",
            tag("canvas", class_="layer"),
            tag("canvas", class_="layer upper"),
            tag("span", class_="seen", aria_hidden="true"),
            divider,
            class_="stage",
        ),
        tag("p", tag("canvas", width=128, height=8, aria_hidden="true"), tag("span"), class_="legend", hidden=True),
    )


def _picker(case: Case, side: str, chosen: int) -> Html:
    """Let the reader choose what one side shows: a picture by its number, or the error map of a picture."""
    # The pictures, then an error map for each picture that can have one.
    names = list(case.pictures)
    options = [
        tag("option", name, value=number, selected=number == chosen, data_scores=_scores(case, name))
        for number, name in enumerate(names)
    ]
    if GROUND_TRUTH in names:
        maps = [
            tag("option", f"error of {name}", value=f"error {number}", data_scores=_scores(case, name))
            for number, name in enumerate(names)
            if name != GROUND_TRUTH
        ]
        options += [tag("optgroup", *maps, label="Error maps")]
    select = tag("select", *options, data_side=side.lower())
    return tag("div", tag("label", tag("span", side, class_="under"), select), tag("p", class_="scores"))


def _zoom(number: int) -> Html:
    choices = [
        tag(
            "label",
            tag("input", type="radio", name=f"zoom-{number}", value=zoom, checked=zoom == FIRST_ZOOM),
            tag("span", f"{zoom} %"),
        )
        for zoom in ZOOMS
    ]
    lenses = [tag("figure", tag("div", tag("canvas"), class_="lens"), tag("figcaption", class_="under")) for _ in "lr"]
    return tag(
        "div",
        tag("fieldset", tag("legend", "Zoom", class_="unseen"), *choices, class_="choice"),
        tag(
            "div",
            *lenses,
            class_="lenses",
            tabindex=0,
            role="application",
            aria_label="Zoom of both sides; arrow keys move it",
        ),
        tag(
            "p", "Point at the picture and click to stay there, or move the lenses with the arrow keys.", class_="hint"
        ),
        class_="zoom",
    )
