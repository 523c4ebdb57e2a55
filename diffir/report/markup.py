"""HTML that cannot be broken by what is written into it: text is escaped unless it was built here.

In: names of elements, attributes, children. Out: ``Html``. Plain strings are text whatever they hold, so a file named
``<script>`` is shown as its name. Nobody else in this package writes an angle bracket.
"""

from html import escape

VOID = {"br", "col", "img", "input", "link", "meta"}  # elements without an end (HTML standard, 13.1.2)


class Html(str):
    """Markup that is done; every other string is text."""

    __slots__ = ()


Child = Html | str | None
Attribute = str | int | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """One element: ``tag("td", text, class_="best", data_value=30.1)``.

    Args:
        children: strings are escaped, ``Html`` is taken as it is, None is left out.
        attributes: underscores become hyphens, one at the end is dropped; True stands alone, False and None are
            left out.
    """
    kept = {key: value for key, value in attributes.items() if value is not None and value is not False}
    words = [name, *(_attribute(key, value) for key, value in kept.items())]
    start = f"<{' '.join(words)}>"
    return Html(start) if name in VOID else Html(f"{start}{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def _attribute(key: str, value: Attribute) -> str:
    key = key.rstrip("_").replace("_", "-")
    return key if value is True else f'{key}="{escape(str(value))}"'
