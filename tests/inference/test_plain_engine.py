"""The engine of networks that map an image to an image: exact tiles, and memory that is measured."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diffir.inference.live_bytes import peak_of_live_bytes
from diffir.inference.options import RestoreOptions
from diffir.inference.plain_engine import PlainEngine
from diffir.inference.restorer import Restorer
from diffir.system import Facts

PHOTO = np.random.default_rng(0).random((70, 150, 3), np.float32)


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 12, 5, padding=2), nn.PixelShuffle(2))


def restorer(reach: int | None = 4, multiple_of: int = 1, **options: int) -> Restorer:
    facts = Facts(scale=2, multiple_of=multiple_of)
    engine = PlainEngine(convolutions(), torch.device("cpu"), facts, kind="two convolutions", reach=reach)
    return Restorer(engine, "fp32", RestoreOptions(device="cpu", precision="fp32", **options))


@pytest.mark.parametrize(("tile", "multiple_of"), [(16, 1), (40, 1), (32, 8)])
def test_tiles_are_exact_where_it_is_known_how_far_the_network_looks(tile: int, multiple_of: int) -> None:
    whole = restorer(multiple_of=multiple_of).restore(PHOTO)
    tiled = restorer(multiple_of=multiple_of, tile=tile, tile_overlap=0)

    assert tiled.restore(PHOTO) == pytest.approx(whole, abs=1e-6)
    assert tiled.last_tile == tile


def test_a_reach_that_is_too_small_would_show_in_the_tiles() -> None:
    tiled = restorer(reach=3, tile=16, tile_overlap=0)

    assert np.abs(tiled.restore(PHOTO) - restorer().restore(PHOTO)).max() > 1e-4


def test_photos_of_a_batch_get_what_they_get_alone() -> None:
    photos = [PHOTO[:40, :40], PHOTO[20:60, 50:90]]

    together = restorer().restore_batch(photos)

    assert all(np.array_equal(one, restorer().restore(photo)) for one, photo in zip(together, photos, strict=True))


def test_the_tile_follows_from_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffir.inference.plain_engine.free_bytes", lambda device: 100_000_000)
    engine = restorer().engine

    side = engine.largest_tile(8000, 8000, 1)

    # A pixel of lq takes most where 12 channels are shuffled: 3 + 12 + 12 floats. Half of the free memory may be taken.
    assert side is not None and (side + 8) ** 2 == pytest.approx(50_000_000 / (4 * (3 + 12 + 12)), rel=0.02)
    assert engine.largest_tile(100, 100, 1) is None


def test_live_bytes_are_those_of_tensors_that_exist_together() -> None:
    x = torch.zeros(1000)

    def chain() -> Tensor:
        y = x + 1  # 4000 bytes, freed once z exists
        z = y * 2
        del y
        return z + 3

    assert peak_of_live_bytes(chain) == 8000
    assert peak_of_live_bytes(lambda: x.view(10, 100)) == 0


def test_a_prior_is_refused() -> None:
    with pytest.raises(Exception, match="this network has no prior"):
        restorer().restore(PHOTO, prior=torch.zeros(1, 4))
