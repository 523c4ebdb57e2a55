"""``tools.speed.traffic`` counts the bytes that operators read and write, and no more."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tools.speed.traffic import bytes_moved_by

BYTES = 2 * 3 * 4 * 4  # of the tensor below


@pytest.mark.parametrize(
    ("work", "moved"),
    [
        pytest.param(lambda x: x + 1, 2 * BYTES, id="a sum reads and writes"),
        pytest.param(lambda x: x.add_(1), 2 * BYTES, id="so does one in place"),
        pytest.param(lambda x: x.clone().copy_(x), 4 * BYTES, id="a copy does not read what it overwrites"),
        pytest.param(lambda x: x.mT.reshape(-1), 2 * BYTES, id="a reshape that copies"),
        pytest.param(lambda x: x.view(-1)[2:].unsqueeze(0), 0, id="views move nothing"),
        pytest.param(lambda x: torch.empty(100), 0, id="memory that is not filled"),
        pytest.param(lambda x: torch.zeros(3, 4), BYTES / 2, id="memory that is filled"),
        pytest.param(lambda x: x[:1].expand(5, 3, 4).sum(0), BYTES, id="what is expanded is read once"),
        pytest.param(lambda x: x.bfloat16(), 1.5 * BYTES, id="half the bytes for half the precision"),
    ],
)
def test_operators_count_the_bytes_of_their_inputs_and_outputs(work: Callable[[Tensor], object], moved: float) -> None:
    x = torch.ones(2, 3, 4)

    assert bytes_moved_by(lambda: work(x)) == moved


def test_layers_count_through_their_operators() -> None:
    layer, x = torch.nn.Conv2d(3, 5, 1, bias=False), torch.ones(1, 3, 8, 8)

    assert bytes_moved_by(lambda: layer(x)) == 4 * (3 * 64 + 5 * 3 + 5 * 64)
