"""Axes hold what they show, and dots keep apart."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffir.report.scale import Scale, keep_apart

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)
SAME_VALUES_IN_EVERY_RUN = settings(deadline=None, derandomize=True, database=None)


@SAME_VALUES_IN_EVERY_RUN
@given(VALUES)
def test_every_value_lies_on_the_axis_in_its_order(values):
    scale = Scale.around(values)

    places = [scale.place(value) for value in sorted(values)]

    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)


@SAME_VALUES_IN_EVERY_RUN
@given(VALUES)
def test_an_axis_has_a_few_ticks_between_its_ends(values):
    scale = Scale.around(values)

    assert 1 <= len(scale.ticks) <= 10
    assert all(0 <= scale.place(tick) <= 100 for tick in scale.ticks)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([20.3, 33.7], ["22", "24", "26", "28", "30", "32"]),
        ([0.61, 0.93], ["0.65", "0.70", "0.75", "0.80", "0.85", "0.90"]),
    ],
)
def test_ticks_are_round_numbers_with_as_many_digits_as_they_need(values, labels):
    scale = Scale.around(values)

    assert [scale.label(tick) for tick in scale.ticks] == labels


def test_dots_do_not_touch_while_there_is_room():
    places = [0.0, 1.0, 1.5, 2.0, 9.0, 30.0]

    dots = list(zip(places, keep_apart(places, 7.0, 20.0), strict=True))

    distances = [math.dist(a, b) for i, a in enumerate(dots) for b in dots[:i]]
    assert min(distances) >= 7.0
    assert all(abs(height) <= 20.0 for _, height in dots)


def test_dots_without_room_overlap_rather_than_leave_the_strip():
    assert set(keep_apart([0.0] * 9, 7.0, 3.0)) == {0.0}
