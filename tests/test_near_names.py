"""Messages about an unknown name suggest the most similar one, or list all."""

import pytest

from diffir.near_names import meant, nearest


@pytest.mark.parametrize(
    ("name", "said"),
    [("foto", "did you mean 'photo'?"), ("photo", "did you mean 'photo'?"), ("x", "known: rain, photo")],
)
def test_the_nearest_name_is_meant_or_all_are_named(name: str, said: str) -> None:
    assert meant(name, ["rain", "photo"]) == said


def test_nothing_is_near_where_nothing_is_known() -> None:
    assert nearest("photo", []) is None
