"""Tests of the sums over windows that local statistics consist of."""

import pytest
import torch
import torch.nn.functional as F

from diffir.systems.diffir.dirformer import DMTA
from diffir.systems.diffir.engine.attention import Sums, Windows, from_cells, to_cells


@pytest.mark.parametrize(("height", "width", "cell"), [(12, 8, 4), (13, 9, 4), (3, 3, 4), (6, 6, 1)])
def test_cells_hold_every_pixel_once_and_give_them_back(height: int, width: int, cell: int) -> None:
    x = torch.rand(2, 6, height, width)

    cells = to_cells(x, cell, heads=3)

    assert cells.shape[1:3] == (-(-height // cell), -(-width // cell))
    assert cells.sum().item() == pytest.approx(x.sum().item(), rel=1e-5)
    assert torch.equal(from_cells(cells, cell, height, width), x)


@pytest.mark.parametrize("reach", [0, 1, 2, 9])
def test_sums_around_a_cell_are_those_of_the_window(reach: int) -> None:
    x = torch.rand(1, 4, 20, 12)
    sums = Sums.of(*(to_cells(half, 4, 1) for half in x.chunk(2, dim=1)))

    squares = torch.cat([sums.around(reach, top, top + 1).squares[0, :, :, 0, 0] for top in range(5)])

    cells = F.avg_pool2d(x[:, :2].square(), 4) * 16
    window = F.avg_pool2d(F.pad(cells, [reach] * 4), 2 * reach + 1, stride=1, divisor_override=1)
    torch.testing.assert_close(squares.permute(2, 0, 1), window[0])


def test_attention_of_one_cell_is_that_of_the_network() -> None:
    dmta = DMTA(8, 2, 16)
    q, k = torch.rand(2, 8, 5, 7), torch.rand(2, 8, 5, 7)

    found = Sums.of(to_cells(q, None, 2), to_cells(k, None, 2)).attention(dmta)[:, 0, 0]

    q, k = (F.normalize(x.unflatten(1, (2, 4)).flatten(-2), dim=-1) for x in (q, k))
    torch.testing.assert_close(found, (q @ k.transpose(-2, -1) * dmta.temperature).softmax(dim=-1))


def test_a_channel_of_zeros_gives_no_nan() -> None:
    zeros = torch.zeros(1, 1, 1, 1, 2, 9)

    assert torch.isfinite(Sums.of(zeros, zeros).attention(DMTA(2, 1, 4))).all()


@pytest.mark.parametrize(("patch", "multiple_of"), [(64, 16), (96, 16), (64, 8), (128, 8), (512, 8), (8, 16)])
def test_windows_are_about_as_large_as_the_patch(patch: int, multiple_of: int) -> None:
    windows = Windows.for_patch(patch, multiple_of)

    assert windows.cell % multiple_of == 0
    assert (2 * windows.reach + 1) * windows.cell == pytest.approx(max(patch, multiple_of), rel=0.26)
