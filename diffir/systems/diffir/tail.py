"""The output layers of networks that enlarge: as released, in steps of two, and as one convolution that equals them.

In: features (B, C, h, w). Out: an image (B, 3, r*h, r*w). Between the convolutions of the released form lies nothing
but PixelShuffle, so together they are one linear map: conv 5x5 to 3 r^2 channels and PixelShuffle(r). The two differ in
the outer r - 1 pixels of the image alone, where the released form pads each of its convolutions with zeros. All of them
lie over the outermost features, so kernels of their own for these make the one convolution exact everywhere.
"""

import copy
import math

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
        """The same as one convolution in a third of the time, with gradients of all weights."""
        kernels, biases = self.kernels()
        rows = []
        for i, (row, above) in enumerate(_LINES):
            parts = [
                F.conv2d(
                    x[..., row, column],
                    kernels[i, j, ..., above, left],
                    biases[i, j],
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
            # Axes: place in rows and columns, output channel, row and column of the pixel, then those of the kernel.
            kernels = F.pad(self.output.weight, (1, 1, 1, 1)).expand(3, 3, 1, 1, -1, -1, -1, -1).movedim(4, 2)
            biases = self.output.bias.expand(3, 3, 1, 1, -1).movedim(4, 2)
            for conv in reversed(self.upsample):
                assert isinstance(conv, nn.Conv2d) and conv.bias is not None
                coefficients = _over_doubled(kernels)
                places = coefficients.shape[:5]
                unshuffled = F.pixel_unshuffle(coefficients.flatten(0, 4), 2)
                of_bias = unshuffled.sum(dim=(2, 3)) @ conv.bias
                biases = _four(biases).reshape(places) + of_bias.view(places)
                kernels = F.conv_transpose2d(unshuffled, conv.weight).unflatten(0, places)
        return kernels.flatten(2, 4), biases.flatten(2, 4)

    def _is_worth_one_step(self, x: Tensor) -> bool:
        height, width = x.shape[-2:]
        return len(x) * height * width >= _ENOUGH and min(height, width) > REACH and not torch.compiler.is_compiling()


def _two(values: Tensor, axis: int) -> Tensor:
    """Of values in each place (first, between, last), those of the two pixels over a feature in it, on a new axis."""
    first, between, last = values.split(1, axis)
    return torch.stack(
        [torch.cat([first, between, between], axis), torch.cat([between, between, last], axis)], axis + 1
    )


def _four(values: Tensor) -> Tensor:
    """The same in rows and columns: from (3, 3, O, s, s, ...) to (3, 3, O, 2, s, 2, s, ...)."""
    return _two(_two(values, 1), 0).movedim((0, 2, 4, 1, 5, 3, 6), (0, 1, 2, 3, 4, 5, 6))


def _over_doubled(kernels: Tensor) -> Tensor:
    """Kernels (3, 3, O, 2s, 2s, C, 6, 6) over four pixels of a map, from those of each (3, 3, O, s, s, C, 5, 5).

    Beyond the edges of the map lie zeros, not features, so coefficients there are left out.
    """
    four = _four(kernels)
    wide = four.new_zeros(*four.shape[:-2], SIDE + 1, SIDE + 1)
    for row in (0, 1):
        for column in (0, 1):
            wide[:, :, :, row, :, column, ..., row : row + SIDE, column : column + SIDE] = four[:, :, :, row, :, column]
    wide[0, ..., :REACH, :], wide[2, ..., REACH + 2 :, :] = 0, 0
    wide[:, 0, ..., :REACH], wide[:, 2, ..., REACH + 2 :] = 0, 0
    return wide.flatten(5, 6).flatten(3, 4)


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
