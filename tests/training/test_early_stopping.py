"""Early stopping: better and stale scores, collapses, patience, and its saved state."""

import math

import pytest

from diffir.training.early_stopping import EarlyStopping


def outcomes(early_stopping: EarlyStopping, *scores: float) -> list[str]:
    return [early_stopping.update(score, step) for step, score in enumerate(scores)]


def test_a_run_that_gets_better_is_not_changed():
    assert outcomes(EarlyStopping(margin=1.0, patience=2), 28.0, 28.5, 29.0) == ["better"] * 3


def test_a_small_fall_is_forgiven_and_a_large_one_is_a_collapse():
    early_stopping = EarlyStopping(margin=1.0, patience=0)

    assert outcomes(early_stopping, 28.0, 27.5, 26.5, math.nan) == ["better", "stale", "collapsed", "collapsed"]
    assert early_stopping.lr_scale == 0.25


def test_without_a_margin_any_fall_is_forgiven():
    assert outcomes(EarlyStopping(margin=0.0, patience=0), 28.0, 3.0) == ["better", "stale"]


def test_a_run_that_stays_no_better_is_stopped():
    early_stopping = EarlyStopping(margin=0.0, patience=2)

    found = [
        (early_stopping.update(score, step), early_stopping.is_exhausted)
        for step, score in enumerate((28.0, 27.9, 27.8))
    ]

    assert found == [("better", False), ("stale", False), ("stale", True)]


def test_patience_begins_anew_with_every_better_score():
    early_stopping = EarlyStopping(margin=0.0, patience=2)

    exhausted = [
        (early_stopping.update(score, step), early_stopping.is_exhausted)[1]
        for step, score in enumerate((28, 27, 29, 28, 28))
    ]

    assert exhausted == [False, False, False, False, True]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_first_score_that_is_no_number_is_not_the_best_for_ever(broken):
    early_stopping = EarlyStopping(margin=1.0, patience=0)

    assert outcomes(early_stopping, broken, 31.0, 32.0) == ["stale", "better", "better"]
    assert early_stopping.lr_scale == 1.0


def test_a_metric_of_which_less_is_better_is_judged_the_other_way():
    early_stopping = EarlyStopping(margin=0.1, patience=0, higher_is_better=False)

    assert outcomes(early_stopping, 0.3, 0.2, 0.25, 0.4) == ["better", "better", "stale", "collapsed"]
    assert (early_stopping.best, early_stopping.best_step) == (0.2, 1)


def test_a_resumed_stage_remembers_its_scores():
    first = EarlyStopping(margin=1.0, patience=3)
    outcomes(first, 28.0, 20.0)
    second = EarlyStopping(margin=1.0, patience=3)

    second.load_state_dict(first.state_dict())

    assert second == first
    assert second.lr_scale == pytest.approx(0.5)
