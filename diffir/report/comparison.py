"""The before/after slider of the report for two pictures, as a page of its own or inside a notebook.

In: two pictures of one size. Out: HTML that contains everything it shows. A notebook gets the page in an inline frame,
so that its styles and its script touch nothing else there.
"""

import numpy as np

from diffir.report.cases import INPUT, Case
from diffir.report.markup import Html, tag
from diffir.report.page import whole_page
from diffir.report.viewer import case_view

_FRAME_HEIGHT = 900  # CSS pixels: the slider of a picture of 512 pixels with its lenses


def comparison_page(before: np.ndarray, after: np.ndarray, *, name: str, method: str) -> Html:
    """Return a page with the slider between two pictures H x W x 3 uint8 RGB of one size.

    Args:
        name: heading of the picture, such as the name of its file.
        method: what made ``after``, such as the name of the network.
    Raises:
        ImageError: the pictures are not of one size and type.
    """
    case = Case("", "", name, "", {INPUT: before, method: after}, {})
    return whole_page(name, tag("main", case_view(case, method, 0)))


def comparison_frame(before: np.ndarray, after: np.ndarray, *, name: str, method: str) -> Html:
    """Return the page of ``comparison_page`` in an inline frame, for notebooks."""
    page = comparison_page(before, after, name=name, method=method)
    style = f"width:100%;height:{_FRAME_HEIGHT}px;border:0"
    return tag("iframe", srcdoc=str(page), style=style, title=f"{name}, before and after")
