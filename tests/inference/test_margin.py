"""Tests of the mirrored margin that networks see beyond the edges of a photo."""

from dataclasses import replace

import numpy as np
import pytest

from diffir.inference.source import OutputImages
from diffir.systems.diffir import ArchSettings

WHOLE_VIEW = {"prior_view": "whole", "prior_thumbnail": 16}
IMAGE = np.random.default_rng(0).random((48, 64, 3), np.float32)  # with the margin, both sides are multiples of 16


def mirrored(image: np.ndarray, margin: int) -> np.ndarray:
    return np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")


def test_only_networks_that_see_the_whole_photo_have_a_margin() -> None:
    assert (ArchSettings().facts.margin, ArchSettings(**WHOLE_VIEW).facts.margin) == (0, 32)


def test_the_result_is_that_of_a_mirrored_photo_without_its_rim(make_restorer) -> None:
    restorer = make_restorer(WHOLE_VIEW)
    prior = restorer.estimate_prior_of(IMAGE)

    found = restorer.restore(IMAGE, prior=prior)

    plain = make_restorer(WHOLE_VIEW)
    plain.facts = replace(plain.facts, margin=0)
    expected = plain.restore(mirrored(IMAGE, 32), prior=prior)[32:-32, 32:-32]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - plain.restore(IMAGE, prior=prior))[0].max() > 1e-4


def test_the_prior_is_that_of_the_photo_without_the_margin(make_restorer) -> None:
    restorer = make_restorer(WHOLE_VIEW)

    own = restorer.restore(IMAGE)

    assert np.array_equal(own, restorer.restore(IMAGE, prior=restorer.estimate_prior_of(IMAGE)))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 50, 3), (45, 70)])
def test_photos_of_every_size_keep_it(make_restorer, shape) -> None:
    assert make_restorer(WHOLE_VIEW).restore(np.full(shape, 0.3, np.float32)).shape == shape


def test_self_ensemble_blending_and_tiles_work_with_a_margin(make_restorer) -> None:
    whole = make_restorer(WHOLE_VIEW).restore(IMAGE)
    half = make_restorer(WHOLE_VIEW, strength=0.5).restore(IMAGE)
    turned = make_restorer(WHOLE_VIEW, tta=True).restore(IMAGE)
    tiled = make_restorer(WHOLE_VIEW, tile=64).restore(IMAGE)

    np.testing.assert_allclose(half, (whole + IMAGE) / 2, atol=1e-6)
    assert turned.shape == tiled.shape == IMAGE.shape
    for other in (turned, tiled):
        assert np.abs(other - whole).mean() < 0.05 < np.abs(np.roll(other, 32, axis=1) - whole).mean()


@pytest.mark.parametrize("strength", [1, 0.5])
def test_rows_that_lie_in_the_margin_alone_are_not_written(make_restorer, monkeypatch, strength) -> None:
    restorer = make_restorer(WHOLE_VIEW, strength=strength)
    written = []

    def row_by_row(source, write, **_) -> None:
        for top in range(source.height):
            write(top, source.rows(top, top + 1))

    monkeypatch.setattr(restorer._runner, "restore", row_by_row)
    monkeypatch.setattr(OutputImages, "write", lambda self, top, rows: written.append((top, rows.shape[2])))
    restorer.restore(IMAGE)

    assert written == [(top, 1) for top in range(48)]
