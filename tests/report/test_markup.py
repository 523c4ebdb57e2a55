"""Text stays text."""

import pytest

from diffir.report.markup import join, tag

HOSTILE = "<script>alert('x' & \"y\")</script>"


def test_text_is_escaped_wherever_it_stands():
    made = tag("p", HOSTILE, title=HOSTILE)

    assert made.count("<") == 2
    assert made.count('"') == 2
    assert "&lt;script&gt;alert(&#x27;x&#x27; &amp; &quot;y&quot;)&lt;/script&gt;" in made


def test_markup_is_not_escaped_twice():
    assert tag("p", tag("b", "a < b")) == "<p><b>a &lt; b</b></p>"
    assert join(tag("b", "x"), " & ", None) == "<b>x</b> &amp; "


@pytest.mark.parametrize(
    ("given", "written"), [(0, 'data-x="0"'), ("", 'data-x=""'), (True, "data-x"), (False, ""), (None, "")]
)
def test_an_attribute_is_there_unless_it_is_false_or_none(given, written):
    assert tag("br", data_x=given) == f"<br {written}>".replace(" >", ">")
