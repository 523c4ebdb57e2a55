"""Tests of networks that restore a small copy of a photo, whose change of tone is carried over to the photo."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffir.errors import ConfigError
from diffir.inference.tone import ToneChange
from diffir.systems.diffir import ArchSettings

SIDE = 32
TONE = {"prior_view": "whole", "prior_thumbnail": 16, "tone_side": SIDE}
PHOTO = np.random.default_rng(0).random((90, 128, 3), np.float32)


def test_an_affine_change_of_colour_is_carried_over_exactly() -> None:
    copy, photo = torch.rand(2, 3, 20, 30), torch.rand(2, 3, 60, 90)
    matrix, offset = torch.rand(3, 3), torch.rand(3, 1, 1)

    def change(image: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ij,bihw->bjhw", matrix, image) + offset

    carried = ToneChange.between(copy, change(copy)).applied(photo, 0, 60)

    torch.testing.assert_close(carried, change(photo), atol=0.01, rtol=0)


def test_a_change_that_differs_from_place_to_place_stays_where_it_is() -> None:
    copy, photo = torch.rand(1, 3, 32, 32), torch.full((1, 3, 96, 96), 0.5)
    brighter = torch.linspace(0.5, 2, 32)[None, None, :, None]

    carried = ToneChange.between(copy, brighter * copy).applied(photo, 0, 96)

    expected = 0.5 * torch.linspace(0.5, 2, 96)
    torch.testing.assert_close(carried[0, 0, 12:-12, 40], expected[12:-12], atol=0.03, rtol=0)


def test_rows_can_be_changed_piece_by_piece() -> None:
    change = ToneChange.between(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))
    photo = torch.rand(1, 3, 75, 50)

    pieces = [change.applied(photo[:, :, top : top + 31], top, 75) for top in range(0, 75, 31)]

    torch.testing.assert_close(torch.cat(pieces, dim=2), change.applied(photo, 0, 75))


def test_the_network_sees_a_small_copy_and_the_prior_of_the_photo(make_restorer) -> None:
    restorer, plain = make_restorer(TONE), make_restorer(TONE)
    plain.facts = replace(plain.facts, tone_side=0)
    photo = torch.from_numpy(PHOTO).permute(2, 0, 1)[None]
    copy = torch.nn.functional.adaptive_avg_pool2d(photo, (22, SIDE))

    found = restorer.restore(PHOTO)

    restored = plain.restore_tensor(copy, prior=restorer.estimate_prior_of(PHOTO))
    expected = ToneChange.between(copy, restored).applied(photo, 0, 90).clamp(0, 1)
    np.testing.assert_allclose(found, expected[0].permute(1, 2, 0).numpy(), atol=1e-5)
    assert np.abs(found - plain.restore(PHOTO)).max() > 0.01


def test_small_photos_are_not_enlarged_for_it(make_restorer, monkeypatch) -> None:
    sizes = []
    monkeypatch.setattr(ToneChange, "between", lambda copy, restored: sizes.append(copy.shape) or _Same())

    make_restorer(TONE).restore(PHOTO[:20, :25])

    assert sizes == [(1, 3, 20, 25)]


class _Same:
    def applied(self, rows: torch.Tensor, top: int, height: int) -> torch.Tensor:
        return rows


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 300, 3), (64, 48), (64, 48, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_photos_of_every_size_and_type_are_restored(make_restorer, shape, dtype) -> None:
    restored = make_restorer(TONE).restore(np.ones(shape, dtype))

    assert restored.shape == shape
    assert restored.dtype == dtype


def test_strength_self_ensemble_and_batches_work_on_the_copy(make_restorer) -> None:
    whole = make_restorer(TONE).restore(PHOTO)

    half = make_restorer(TONE, strength=0.5).restore(PHOTO)
    turned = make_restorer(TONE, tta=True).restore(PHOTO)
    batch = make_restorer(TONE).restore_batch([PHOTO, PHOTO[::-1]])

    np.testing.assert_allclose(half, (whole + PHOTO) / 2, atol=1e-6)
    assert 0 < np.abs(turned - whole).mean() < 0.1
    np.testing.assert_allclose(batch[0], whole, atol=1e-5)
    assert np.abs(batch[1] - whole).mean() > 0.1


@pytest.mark.parametrize(
    "wrong", [{"tone_side": 16}, {"tone_side": 64, "upsample": 4}, {"tone_side": 64, "in_channels": 4}]
)
def test_networks_that_cannot_work_on_a_copy_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="tone_side"):
        ArchSettings(**wrong)
