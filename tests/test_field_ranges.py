"""Rules on dataclass fields: what they accept, what they refuse, and in which words."""

import math
from dataclasses import dataclass
from typing import Annotated

import pytest

from diffir.errors import ConfigError
from diffir.field_ranges import Above, EachIn, NotEmpty, Weights, Within, check_fields, rules_of
from diffir.typed_mapping import build


@dataclass(frozen=True)
class Settings:
    """One field of every kind."""

    sigma: Annotated[tuple[float, float], Within(0, 50)] = (1.0, 25.0)
    share: Annotated[float, Within(0, 1)] = 0.5
    scale: Annotated[int | None, Within(1)] = None
    lr: Annotated[float, Above(0)] = 1e-3
    betas: Annotated[tuple[float, float], EachIn(0, 1)] = (0.9, 0.5)
    decay: Annotated[float, EachIn(0, 1)] = 0.999
    odds: Annotated[tuple[float, ...], Weights()] = (1.0,)
    kinds: Annotated[dict[str, float] | None, Weights()] = None
    modes: Annotated[tuple[str, ...], NotEmpty()] = ("area",)
    name: str = "any"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class MoreSettings(Settings):
    """A class that takes over fields and their rules."""

    size: Annotated[int, Within(3, 9)] = 3


ALLOWED = [
    *[{"sigma": pair} for pair in ((0, 0), (0, 50), (50, 50))],
    *[{"share": share} for share in (0, 0.3, 1)],
    *[{"scale": scale} for scale in (None, 1, 10**400)],
    {"lr": 1e-30},
    {"betas": (0, 0)},
    {"odds": (0, 0, 2)},
    {"kinds": {"iso": 0, "aniso": 1}},
]
REFUSED = [
    ({"sigma": (-1, 5)}, "sigma must be [low, high] with 0 <= low <= high <= 50, got [-1, 5]"),
    ({"sigma": (9, 5)}, "sigma must be [low, high] with 0 <= low <= high <= 50, got [9, 5]"),
    ({"sigma": (5, 51)}, "sigma must be [low, high] with 0 <= low <= high <= 50, got [5, 51]"),
    ({"sigma": (5, math.nan)}, "sigma must be [low, high] with 0 <= low <= high <= 50, got [5, nan]"),
    ({"share": 1.5}, "share must lie in [0, 1], got 1.5"),
    ({"share": math.nan}, "share must lie in [0, 1], got nan"),
    ({"scale": 0}, "scale must be 1 or more, got 0"),
    ({"scale": math.inf}, "scale must be 1 or more, got inf"),
    ({"lr": 0.0}, "lr must be above 0, got 0"),
    ({"lr": math.nan}, "lr must be above 0, got nan"),
    ({"betas": (0.9, 1)}, "betas must lie in [0, 1), got [0.9, 1]"),
    ({"decay": 1.0}, "decay must lie in [0, 1), got 1"),
    ({"odds": (0, 0)}, "odds must hold one number above 0, got [0, 0]"),
    ({"odds": (1, -1)}, "odds must be numbers of 0 or more, got [1, -1]"),
    ({"odds": (1, True)}, "odds must be numbers of 0 or more, got [1, True]"),
    ({"kinds": {"iso": "much"}}, "the weights of kinds must be numbers of 0 or more, got ['much']"),
    ({"modes": ()}, "modes must name at least one, got an empty list"),
]


@pytest.mark.parametrize("values", ALLOWED, ids=str)
def test_allowed_values_pass(values):
    assert Settings(**values)


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=lambda case: str(case)[:40])
def test_a_refused_value_is_one_line_with_the_name_the_limits_and_the_value(values, message):
    with pytest.raises(ConfigError) as caught:
        Settings(**values)

    assert str(caught.value) == message


def test_a_pair_without_an_upper_limit_must_still_be_finite():
    with pytest.raises(ConfigError, match=r"^size must be \[low, high\] with 1 <= low <= high, got \[2, inf\]$"):
        Within(1).check("size", (2, math.inf))


def test_a_class_takes_over_the_rules_of_its_base():
    assert set(rules_of(MoreSettings)) == {*rules_of(Settings), "size"}
    with pytest.raises(ConfigError, match=r"^share must"):
        MoreSettings(share=2)


def test_fields_without_rules_have_none():
    assert "name" not in rules_of(Settings)


def test_an_object_from_a_file_passes_the_same_check_and_its_place_is_named():
    assert build(Settings, {"sigma": [1, 2], "scale": 4}, "a.yml") == Settings(sigma=(1.0, 2.0), scale=4)
    with pytest.raises(ConfigError, match=r"^a\.yml: share must lie in \[0, 1\], got 2$"):
        build(Settings, {"share": 2}, "a.yml")
    with pytest.raises(ConfigError, match=r"^a\.yml: scale: expected int, got 'four'$"):
        build(Settings, {"scale": "four"}, "a.yml")


@pytest.mark.parametrize(
    ("rule", "text"),
    [(Within(0.05, 8), "0.05 to 8"), (Within(1), "1 or more"), (Above(0), "above 0"), (EachIn(0, 1), "0 to below 1")],
)
def test_a_rule_has_a_text_for_tables(rule, text):
    assert str(rule) == text
