"""Build HTML safely: every string is escaped unless it was built by this module.

In: names of elements, attributes, children. Out: ``Html``. Plain strings always become text, so a file named
``<script>`` is shown by its name. No other module of this package writes an angle bracket.
"""

from html import escape

VOID = {"br", "col", "img", "input", "link", "meta"}  # elements without an end tag (HTML standard, 13.1.2)


class Html(str):
    """Finished markup, which is not escaped again; every other string is text."""

    __slots__ = ()


Child = Html | str | None
Attribute = str | int | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Build one element, such as ``tag("td", text, class_="best", data_value=30.1)``.

    Args:
        children: strings are escaped, ``Html`` is inserted unchanged, None is skipped.
        attributes: underscores in names become hyphens, one at the end is dropped. True writes the name alone; False
            and None write nothing.
    """
    kept = {key: value for key, value in attributes.items() if value is not None and value is not False}
    words = [name, *(_attribute(key, value) for key, value in kept.items())]
    start = f"<{' '.join(words)}>"
    return Html(start) if name in VOID else Html(f"{start}{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Concatenate children; strings are escaped."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def _attribute(key: str, value: Attribute) -> str:
    key = key.rstrip("_").replace("_", "-")
    return key if value is True else f'{key}="{escape(str(value))}"'
