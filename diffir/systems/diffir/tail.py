"""The output layers of networks that enlarge: as released, in steps of two, and as one convolution that equals them.

In: features (B, C, h, w). Out: an image (B, 3, r*h, r*w). Between the convolutions of the released form lies nothing
but PixelShuffle, so together they are one linear map: conv 5x5 to 3 r^2 channels and PixelShuffle(r). The two differ in
the outer r - 1 pixels of the image alone, where the released form pads each of its convolutions with zeros.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 5  # of the one kernel, in pixels of the features
REACH = SIDE // 2
_RIM = 4  # rows of features that contain all that the outermost row of the image depends on


class Tail(nn.Module):
    """Released form: one conv 3x3 and PixelShuffle 2 for every doubling, then conv 3x3."""

    def __init__(self, channels: int, out_channels: int, upsample: int) -> None:
        super().__init__()
        doublings = int(math.log2(upsample))
        self.upsample = nn.ModuleList(nn.Conv2d(channels, 4 * channels, 3, padding=1) for _ in range(doublings))
        self.output = nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.upsample:
            x = F.pixel_shuffle(conv(x), 2)
        return self.output(x)


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
        """The form with one convolution of a trained tail: its kernels are the tail's responses to single pixels."""
        channels, out_channels = tail.output.in_channels, tail.output.out_channels
        upsample = 2 ** len(tail.upsample)
        exact = copy.deepcopy(tail).cpu().double()  # not every device has float64
        middle, side = SIDE - 1, 2 * SIDE - 1  # far enough from the edge for its zeros not to be seen

        # The response to zeros is the bias; that to a pixel of one channel is the bias and the mirrored kernel.
        blank = torch.zeros(1, channels, side, side, dtype=torch.double)
        bias = F.pixel_unshuffle(exact(blank), upsample)[0, :, middle, middle]
        pixels = blank.expand(channels, -1, -1, -1).clone()
        pixels[range(channels), range(channels), middle, middle] = 1
        seen = slice(middle - REACH, middle + REACH + 1)
        kernels = F.pixel_unshuffle(exact(pixels), upsample)[:, :, seen, seen] - bias[:, None, None]

        one = cls(channels, out_channels, upsample)
        one.conv.load_state_dict({"weight": kernels.flip(2, 3).transpose(0, 1), "bias": bias})
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
