"""The output layers of networks that enlarge: as released, in steps of two, and as one convolution that equals them.

In: features (B, C, h, w). Out: an image (B, 3, r*h, r*w). Between the convolutions of the released form lies nothing
but PixelShuffle, so together they are one linear map: conv 5x5 to 3 r^2 channels and PixelShuffle(r). The two differ in
the outer r - 1 pixels of the image alone, where the released form pads each of its convolutions with zeros. All of them
lie over the outermost features, so kernels of their own for these make the one convolution exact everywhere.
"""

import copy
import math
from functools import cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 5  # of the one kernel, in pixels of the features
REACH = SIDE // 2
_RIM = 4  # rows of features that contain all that the outermost row of the image depends on
_ENOUGH = 4096  # features from which computing the kernels in each training step costs less than they save
_LINES = (
    (slice(0, REACH + 1), slice(REACH, None)),
    (slice(None), slice(None)),
    (slice(-REACH - 1, None), slice(0, REACH + 1)),
)
"""Of the first, the other and the last rows or columns: the features that count, and the part of the kernel there."""


class Tail(nn.Module):
    """Released form: one conv 3x3 and PixelShuffle 2 for every doubling, then conv 3x3."""

    def __init__(self, channels: int, out_channels: int, upsample: int) -> None:
        super().__init__()
        doublings = int(math.log2(upsample))
        self.upsample = nn.ModuleList(nn.Conv2d(channels, 4 * channels, 3, padding=1) for _ in range(doublings))
        self.output = nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and self._is_worth_one_step(x):
            return self.in_one_step(x)
        for conv in self.upsample:
            x = F.pixel_shuffle(conv(x), 2)
        return self.output(x)

    def in_one_step(self, x: Tensor) -> Tensor:
        """The same as one convolution in a third of the time or less, with gradients of all weights."""
        # Cut everything once, since the gradient of every cut has the size of what it is cut from.
        kernels, biases = (of_places.flatten(0, 1).unbind() for of_places in self.kernels())
        rows = []
        for i, (row, above) in enumerate(_LINES):
            strip = x if i == 1 else x[..., row, :]
            parts = [
                F.conv2d(
                    strip if j == 1 else strip[..., column],
                    kernels[3 * i + j][..., above, left],
                    biases[3 * i + j],
                    padding=(REACH * (i == 1), REACH * (j == 1)),
                )
                for j, (column, left) in enumerate(_LINES)
            ]
            rows.append(torch.cat([parts[0], parts[1][..., 1:-1], parts[2]], dim=-1))
        features = torch.cat([rows[0], rows[1][..., 1:-1, :], rows[2]], dim=-2)
        return F.pixel_shuffle(features, 2 ** len(self.upsample))

    def kernels(self) -> tuple[Tensor, Tensor]:
        """Kernels (3, 3, 3 r^2, C, 5, 5) and biases (3, 3, 3 r^2) of the image's r x r pixels over one feature.

        The first two axes say where that feature lies: in the first row, between, or in the last one, and likewise for
        columns. The middle kernel is that of the one convolution.
        """
        assert self.output.bias is not None
        with torch.autocast(self.output.weight.device.type, enabled=False):
            # Axes: place in rows and columns, output channel, row and column of the pixel, those of the kernel, and C.
            kernels = F.pad(self.output.weight, (1, 1, 1, 1)).movedim(1, -1)[:, None, None].expand(3, 3, *6 * [-1])
            biases = self.output.bias[:, None, None].expand(3, 3, -1, -1, -1)
            for conv in reversed(self.upsample):
                assert isinstance(conv, nn.Conv2d)
                kernels, biases = _over_features(kernels, biases, conv)
        return kernels.movedim(-1, -3).flatten(2, 4), biases.flatten(2, 4)

    def _is_worth_one_step(self, x: Tensor) -> bool:
        height, width = x.shape[-2:]
        return len(x) * height * width >= _ENOUGH and min(height, width) > REACH and not torch.compiler.is_compiling()


# Of the two pixels over a feature, the first lies in the first row of the finer map or between, and the second between
# or in the last row. So there are four kinds, in this order; a feature in the first row has pixels of kinds 0 and 2.
_PLACE_OF_KIND = (0, 1, 1, 2)
_KINDS = ((0, 2), (1, 2), (1, 3))


@cache
def _folding() -> Tensor:
    """Which products a coefficient is the sum of, along one axis: 1 where they meet, (3, 2, 4, 3, 3, 5).

    Axes: place of a feature, pixel over it and its kind, then feature in reach, tap of the convolution at that feature,
    and coefficient of the kernel. Beyond the edges of the map lie zeros, not features.
    """
    folding = torch.zeros(3, 2, 4, 3, 3, SIDE)
    for place, pixel, tap in product(range(3), range(2), range(3)):
        for feature in range(place == 0, 3 - (place == 2)):
            folding[place, pixel, _KINDS[place][pixel], feature, tap, feature + tap] = 1
    return folding


def _over_features(kernels: Tensor, biases: Tensor, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Kernels (3, 3, O, 2s, 2s, 5, 5, C) and biases over the features in front of ``conv`` and PixelShuffle.

    Args:
        kernels: (3, 3, O, s, s, 5, 5, C), over the finer map behind them; biases: (3, 3, O, s, s).
    """
    # Lay the kernels of the pixels of each kind over the 6 x 6 pixels of three features, whose channels they are.
    finer = list(_PLACE_OF_KIND)
    of_kinds, of_map = kernels[finer][:, finer], biases[finer][:, finer]
    rows = torch.cat([F.pad(of_kinds[:2], (0, 0, 0, 0, 0, 1)), F.pad(of_kinds[2:], (0, 0, 0, 0, 1, 0))])
    wide = torch.cat([F.pad(rows[:, :2], (0, 0, 0, 1)), F.pad(rows[:, 2:], (0, 0, 1, 0))], dim=1)
    unshuffled = wide.unflatten(6, (3, 2)).unflatten(5, (3, 2)).transpose(6, 7).flatten(7)

    # Multiply with the convolution, and add up what falls on the same coefficient: along rows, then along columns.
    assert conv.bias is not None
    weights = conv.weight.unflatten(0, (-1, 2, 2)).permute(1, 2, 0, 4, 5, 3).flatten(0, 2)
    products = (unshuffled @ weights.flatten(1)).unflatten(-1, weights.shape[1:])
    folding = _folding().to(kernels)
    folded = torch.tensordot(folding, products, dims=([2, 3, 4], [0, 5, 7]))
    folded = torch.tensordot(folding, folded, dims=([2, 3, 4], [3, 7, 8]))
    taken = folded.permute(3, 0, 6, 4, 7, 1, 8, 5, 2, 9)

    # The same for the biases; that of the finer map counts once.
    of_conv = unshuffled @ conv.bias.unflatten(0, (-1, 2, 2)).movedim(0, 2).flatten()
    summands = of_conv + F.pad(of_map[..., None, None], (1, 1, 1, 1))
    features = folding[..., 0, :].sum(-1)
    summed = torch.tensordot(
        features, torch.tensordot(features, summands, dims=([2, 3], [0, 5])), dims=([2, 3], [2, 6])
    )
    return taken.flatten(5, 6).flatten(3, 4), summed.permute(2, 0, 4, 3, 5, 1, 6).flatten(5, 6).flatten(3, 4)


class OneConvTail(nn.Module):
    """One conv 5x5, then PixelShuffle: a fraction of the work of ``Tail``."""

    def __init__(self, channels: int, out_channels: int, upsample: int) -> None:
        super().__init__()
        self.upsample = upsample
        self.conv = nn.Conv2d(channels, out_channels * upsample**2, SIDE, padding=REACH)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), self.upsample)

    @classmethod
    @torch.no_grad()
    def equal_to(cls, tail: Tail) -> "OneConvTail":
        """The form with one convolution of a trained tail."""
        kernels, biases = copy.deepcopy(tail).cpu().double().kernels()  # not every device has float64
        one = cls(tail.output.in_channels, tail.output.out_channels, 2 ** len(tail.upsample))
        one.conv.load_state_dict({"weight": kernels[1, 1], "bias": biases[1, 1]})
        return one.to(tail.output.weight).requires_grad_(False).eval()


class FusedTail:
    """Computes what a ``Tail`` computes, by one convolution and, in the outer pixels, by the tail itself."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.one = OneConvTail.equal_to(tail)

    def __call__(self, x: Tensor, *, top: bool, bottom: bool) -> Tensor:
        """The image (B, 3, r*h, r*w) of features (B, C, h, w).

        Args:
            top, bottom: True if the first or the last row of x is the edge of the photo, so that its pixels matter.
        """
        if min(x.shape[-2:]) <= 2 * _RIM:
            return self.tail(x)
        image, edge = self.one(x), self.one.upsample - 1
        image[..., :edge] = self.tail(x[..., :_RIM])[..., :edge]
        image[..., -edge:] = self.tail(x[..., -_RIM:])[..., -edge:]
        if top:
            image[..., :edge, :] = self.tail(x[..., :_RIM, :])[..., :edge, :]
        if bottom:
            image[..., -edge:, :] = self.tail(x[..., -_RIM:, :])[..., -edge:, :]
        return image
