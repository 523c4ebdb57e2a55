"""Inception v3 as the FID's weights need it: what its last pooling sees of an image, 2048 numbers.

In: (B, 3, 299, 299) in [-1, 1]. Out: (B, 2048). Szegedy et al., CVPR 2016, in TensorFlow's release of 2015-12-05: mean
pooling leaves out what lies beyond the edge, and the last block pools by the largest value. Module names are those of
pytorch-fid's file.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kernel = tuple[int, int]
Written = tuple[str, int, Kernel, int]
"""A step of a branch: name, width, kernel, stride."""
ONE, THREE, FIVE = (1, 1), (3, 3), (5, 5)
FLAT, TALL = (1, 7), (7, 1)


class Step(nn.Module):
    """Convolution, batch norm, ReLU; keeps the sides at stride 1 if padded."""

    def __init__(self, given: int, width: int, kernel: Kernel, stride: int = 1, *, padded: bool = True) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(given, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def mean_pool(x: Tensor) -> Tensor:
    """Mean of what lies inside the image around each pixel."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def largest_pool(x: Tensor) -> Tensor:
    """Largest value around each pixel."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def halving_pool(x: Tensor) -> Tensor:
    """Largest value around every second pixel."""
    return F.max_pool2d(x, 3, stride=2)


class Block(nn.Module):
    """Branches side by side, and a pooling with a 1x1 convolution behind it where ``pool_width`` is not 0."""

    def __init__(self, given: int, branches: Sequence[Sequence[Written]], *, pool_width: int = 0) -> None:
        super().__init__()
        self.names = [[step[0] for step in branch] for branch in branches]
        for branch in branches:
            width = given
            for name, made, kernel, stride in branch:
                self.add_module(name, Step(width, made, kernel, stride))
                width = made
        self.branch_pool = Step(given, pool_width, ONE) if pool_width else None

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
    """The last blocks, whose branches split in two at their ends."""

    def __init__(self, given: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = Step(given, 320, ONE)
        self.branch3x3_1 = Step(given, 384, ONE)
        self.branch3x3_2a, self.branch3x3_2b = Step(384, 384, (1, 3)), Step(384, 384, (3, 1))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Step(given, 448, ONE), Step(448, 384, THREE)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Step(384, 384, (1, 3)), Step(384, 384, (3, 1))
        self.branch_pool = Step(given, 192, ONE)

    def forward(self, x: Tensor) -> Tensor:
        y, z = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        split = [self.branch3x3_2a(y), self.branch3x3_2b(y), self.branch3x3dbl_3a(z), self.branch3x3dbl_3b(z)]
        return torch.cat([self.branch1x1(x), *split, self.branch_pool(self.pool(x))], dim=1)


def fine_block(given: int, pool_width: int) -> Block:
    """Blocks of 35 x 35 pixels."""
    twice: list[Written] = [("branch3x3dbl_1", 64, ONE, 1), ("branch3x3dbl_2", 96, THREE, 1)]
    branches: list[list[Written]] = [
        [("branch1x1", 64, ONE, 1)],
        [("branch5x5_1", 48, ONE, 1), ("branch5x5_2", 64, FIVE, 1)],
        [*twice, ("branch3x3dbl_3", 96, THREE, 1)],
    ]
    return Block(given, branches, pool_width=pool_width)


def middle_block(width: int) -> Block:
    """Blocks of 17 x 17 pixels."""
    once: list[Written] = [("branch7x7_1", width, ONE, 1), ("branch7x7_2", width, FLAT, 1)]
    twice: list[Written] = [("branch7x7dbl_1", width, ONE, 1), ("branch7x7dbl_2", width, TALL, 1)]
    twice += [("branch7x7dbl_3", width, FLAT, 1), ("branch7x7dbl_4", width, TALL, 1)]
    branches: list[list[Written]] = [
        [("branch1x1", 192, ONE, 1)],
        [*once, ("branch7x7_3", 192, TALL, 1)],
        [*twice, ("branch7x7dbl_5", 192, FLAT, 1)],
    ]
    return Block(768, branches, pool_width=192)


def to_middle() -> Block:
    """35 x 35 -> 17 x 17 pixels."""
    twice: list[Written] = [("branch3x3dbl_1", 64, ONE, 1), ("branch3x3dbl_2", 96, THREE, 1)]
    return Block(288, [[("branch3x3", 384, THREE, 2)], [*twice, ("branch3x3dbl_3", 96, THREE, 2)]])


def to_coarse() -> Block:
    """17 x 17 -> 8 x 8 pixels."""
    seven: list[Written] = [("branch7x7x3_1", 192, ONE, 1), ("branch7x7x3_2", 192, FLAT, 1)]
    seven += [("branch7x7x3_3", 192, TALL, 1), ("branch7x7x3_4", 192, THREE, 2)]
    return Block(768, [[("branch3x3_1", 192, ONE, 1), ("branch3x3_2", 320, THREE, 2)], seven])


class InceptionV3(nn.Module):
    """Up to the last pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Step(3, 32, THREE, 2)
        self.Conv2d_2a_3x3 = Step(32, 32, THREE, padded=False)
        self.Conv2d_2b_3x3 = Step(32, 64, THREE)
        self.Conv2d_3b_1x1 = Step(64, 80, ONE)
        self.Conv2d_4a_3x3 = Step(80, 192, THREE, padded=False)
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
