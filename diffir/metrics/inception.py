"""Inception v3 up to its last pooling, as the weights of FID need it.

In: images (B, 3, 299, 299) in [-1, 1]. Out: features (B, 2048). The network is that of TensorFlow's release of
2015-12-05: average pooling does not count the padding, and the last block uses max pooling. Module names are those of
pytorch-fid's file. Source: Szegedy et al., CVPR 2016.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kernel = tuple[int, int]
LayerSpec = tuple[str, int, Kernel, int]
"""A layer of a branch: name, number of output channels, kernel size, stride."""
ONE, THREE, FIVE = (1, 1), (3, 3), (5, 5)
FLAT, TALL = (1, 7), (7, 1)


class ConvNormReLU(nn.Module):
    """Convolution, batch norm and ReLU; if padded, it keeps height and width at stride 1."""

    def __init__(self, given: int, width: int, kernel: Kernel, stride: int = 1, *, padded: bool = True) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(given, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def mean_pool(x: Tensor) -> Tensor:
    """Average pooling 3x3 of stride 1, in which the padding does not count."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def largest_pool(x: Tensor) -> Tensor:
    """Max pooling 3x3 of stride 1."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def halving_pool(x: Tensor) -> Tensor:
    """Max pooling 3x3 of stride 2."""
    return F.max_pool2d(x, 3, stride=2)


class InceptionBlock(nn.Module):
    """Parallel branches whose outputs are concatenated; one more branch pools.

    If ``pool_width`` is not 0, that branch is average pooling and a 1x1 convolution of so many channels; otherwise it
    is max pooling that halves height and width.
    """

    def __init__(self, given: int, branches: Sequence[Sequence[LayerSpec]], *, pool_width: int = 0) -> None:
        super().__init__()
        self.names = [[step[0] for step in branch] for branch in branches]
        for branch in branches:
            width = given
            for name, made, kernel, stride in branch:
                self.add_module(name, ConvNormReLU(width, made, kernel, stride))
                width = made
        self.branch_pool = ConvNormReLU(given, pool_width, ONE) if pool_width else None

    def forward(self, x: Tensor) -> Tensor:
        made = []
        for names in self.names:
            y = x
            for name in names:
                y = self.get_submodule(name)(y)
            made.append(y)
        pooled = self.branch_pool(mean_pool(x)) if self.branch_pool else halving_pool(x)
        return torch.cat([*made, pooled], dim=1)


class SplitBlock(nn.Module):
    """One of the last two blocks, in which branches end in a 1x3 and a 3x1 convolution in parallel."""

    def __init__(self, given: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = ConvNormReLU(given, 320, ONE)
        self.branch3x3_1 = ConvNormReLU(given, 384, ONE)
        self.branch3x3_2a, self.branch3x3_2b = ConvNormReLU(384, 384, (1, 3)), ConvNormReLU(384, 384, (3, 1))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = ConvNormReLU(given, 448, ONE), ConvNormReLU(448, 384, THREE)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = ConvNormReLU(384, 384, (1, 3)), ConvNormReLU(384, 384, (3, 1))
        self.branch_pool = ConvNormReLU(given, 192, ONE)

    def forward(self, x: Tensor) -> Tensor:
        y, z = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        split = [self.branch3x3_2a(y), self.branch3x3_2b(y), self.branch3x3dbl_3a(z), self.branch3x3dbl_3b(z)]
        return torch.cat([self.branch1x1(x), *split, self.branch_pool(self.pool(x))], dim=1)


def fine_block(given: int, pool_width: int) -> InceptionBlock:
    """Build a block for maps of 35 x 35 pixels."""
    twice: list[LayerSpec] = [("branch3x3dbl_1", 64, ONE, 1), ("branch3x3dbl_2", 96, THREE, 1)]
    branches: list[list[LayerSpec]] = [
        [("branch1x1", 64, ONE, 1)],
        [("branch5x5_1", 48, ONE, 1), ("branch5x5_2", 64, FIVE, 1)],
        [*twice, ("branch3x3dbl_3", 96, THREE, 1)],
    ]
    return InceptionBlock(given, branches, pool_width=pool_width)


def middle_block(width: int) -> InceptionBlock:
    """Build a block for maps of 17 x 17 pixels, whose 7x7 convolutions have ``width`` channels."""
    once: list[LayerSpec] = [("branch7x7_1", width, ONE, 1), ("branch7x7_2", width, FLAT, 1)]
    twice: list[LayerSpec] = [("branch7x7dbl_1", width, ONE, 1), ("branch7x7dbl_2", width, TALL, 1)]
    twice += [("branch7x7dbl_3", width, FLAT, 1), ("branch7x7dbl_4", width, TALL, 1)]
    branches: list[list[LayerSpec]] = [
        [("branch1x1", 192, ONE, 1)],
        [*once, ("branch7x7_3", 192, TALL, 1)],
        [*twice, ("branch7x7dbl_5", 192, FLAT, 1)],
    ]
    return InceptionBlock(768, branches, pool_width=192)


def to_middle() -> InceptionBlock:
    """Build the block that reduces maps from 35 x 35 to 17 x 17 pixels."""
    twice: list[LayerSpec] = [("branch3x3dbl_1", 64, ONE, 1), ("branch3x3dbl_2", 96, THREE, 1)]
    return InceptionBlock(288, [[("branch3x3", 384, THREE, 2)], [*twice, ("branch3x3dbl_3", 96, THREE, 2)]])


def to_coarse() -> InceptionBlock:
    """Build the block that reduces maps from 17 x 17 to 8 x 8 pixels."""
    seven: list[LayerSpec] = [("branch7x7x3_1", 192, ONE, 1), ("branch7x7x3_2", 192, FLAT, 1)]
    seven += [("branch7x7x3_3", 192, TALL, 1), ("branch7x7x3_4", 192, THREE, 2)]
    return InceptionBlock(768, [[("branch3x3_1", 192, ONE, 1), ("branch3x3_2", 320, THREE, 2)], seven])


class InceptionV3(nn.Module):
    """The network up to the mean over all positions of the last map: (B, 3, 299, 299) to (B, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNormReLU(3, 32, THREE, 2)
        self.Conv2d_2a_3x3 = ConvNormReLU(32, 32, THREE, padded=False)
        self.Conv2d_2b_3x3 = ConvNormReLU(32, 64, THREE)
        self.Conv2d_3b_1x1 = ConvNormReLU(64, 80, ONE)
        self.Conv2d_4a_3x3 = ConvNormReLU(80, 192, THREE, padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = fine_block(192, 32), fine_block(256, 64), fine_block(288, 64)
        self.Mixed_6a = to_middle()
        self.Mixed_6b, self.Mixed_6c = middle_block(128), middle_block(160)
        self.Mixed_6d, self.Mixed_6e = middle_block(160), middle_block(192)
        self.Mixed_7a = to_coarse()
        self.Mixed_7b, self.Mixed_7c = SplitBlock(1280, mean_pool), SplitBlock(2048, largest_pool)

    def forward(self, x: Tensor) -> Tensor:
        x = halving_pool(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = halving_pool(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))
