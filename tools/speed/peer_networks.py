"""Small networks of others that users compare with: FFDNet, IMDN, PAN and PReNet, with random weights, for timing.

Written from the papers. ``tests/tools/test_peers.py`` compares their numbers of parameters with the published ones. In:
images (B, 3, H, W). Out: images of the same size, or of four times the height and width. Sources: Zhang et al., TIP
2018 (FFDNet); Hui et al., ACM MM 2019 (IMDN); Zhao et al., ECCV workshops 2020 (PAN); Ren et al., CVPR 2019 (PReNet).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.05  # negative slope of the LeakyReLU of IMDN
PAN_SLOPE = 0.2


class FFDNet(nn.Module):
    """FFDNet for colour: 12 convolutions at half height and width, which also read a map of the noise level."""

    def __init__(self, width: int = 96, depth: int = 12) -> None:
        super().__init__()
        inner = [layer for _ in range(depth - 2) for layer in (conv3(width, width), nn.ReLU())]
        self.layers = nn.Sequential(conv3(3 * 4 + 1, width), nn.ReLU(), *inner, conv3(width, 3 * 4))

    def forward(self, x: Tensor) -> Tensor:
        small = F.pixel_unshuffle(x, 2)
        level = torch.full_like(small[:, :1], 25 / 255)
        return F.pixel_shuffle(self.layers(torch.cat([small, level], 1)), 2)


class Distillation(nn.Module):
    """IMDN's block: three times a quarter of the channels is kept, and contrast weighs the channels."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.kept = kept = width // 4
        self.convs = nn.ModuleList([conv3(width, width), *(conv3(width - kept, width) for _ in range(2))])
        self.last = conv3(width - kept, kept)
        self.weigh = nn.Sequential(
            nn.Conv2d(width, width // 16, 1), nn.ReLU(), nn.Conv2d(width // 16, width, 1), nn.Sigmoid()
        )
        self.join = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts, rest = [], x
        for conv in self.convs:
            kept, rest = F.leaky_relu(conv(rest), SLOPE).split([self.kept, x.shape[1] - self.kept], dim=1)
            parts.append(kept)
        joined = torch.cat([*parts, self.last(rest)], dim=1)
        spread, mean = torch.std_mean(joined, dim=(2, 3), keepdim=True)
        return x + self.join(joined * self.weigh(spread + mean))


class IMDN(nn.Module):
    """IMDN for x4: six blocks, whose outputs are joined."""

    def __init__(self, width: int = 64, blocks: int = 6) -> None:
        super().__init__()
        self.first, self.blocks = conv3(3, width), nn.ModuleList(Distillation(width) for _ in range(blocks))
        self.join = nn.Sequential(nn.Conv2d(blocks * width, width, 1), nn.LeakyReLU(SLOPE), conv3(width, width))
        self.last = nn.Sequential(conv3(width, 3 * 16), nn.PixelShuffle(4))

    def forward(self, x: Tensor) -> Tensor:
        first = y = self.first(x)
        found = []
        for block in self.blocks:
            found.append(y := block(y))
        return self.last(first + self.join(torch.cat(found, dim=1)))


class SelfCalibrated(nn.Module):
    """PAN's block: two branches of half the channels, one of which is weighed pixel by pixel."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        half = width // 2
        self.to_weighed, self.to_plain = (nn.Conv2d(width, half, 1, bias=False) for _ in range(2))
        self.plain, self.before, self.after = (nn.Conv2d(half, half, 3, padding=1, bias=False) for _ in range(3))
        self.attention = nn.Conv2d(half, half, 1)
        self.join = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weighed, plain = (F.leaky_relu(conv(x), PAN_SLOPE) for conv in (self.to_weighed, self.to_plain))
        weighed = self.after(self.before(weighed) * torch.sigmoid(self.attention(weighed)))
        both = torch.cat([F.leaky_relu(y, PAN_SLOPE) for y in (weighed, self.plain(plain))], dim=1)
        return x + self.join(both)


class PAN(nn.Module):
    """PAN for x4: sixteen blocks of 40 channels, then two enlargements by 2 with pixel attention of 24 channels."""

    def __init__(self, width: int = 40, end: int = 24, blocks: int = 16) -> None:
        super().__init__()
        self.first, self.trunk = conv3(3, width), nn.Sequential(*(SelfCalibrated(width) for _ in range(blocks)))
        self.trunk_end = conv3(width, width)
        self.enlarging = nn.ModuleList([conv3(width, end), conv3(end, end)])
        self.attention = nn.ModuleList(nn.Conv2d(end, end, 1) for _ in range(2))
        self.refine = nn.ModuleList(conv3(end, end) for _ in range(2))
        self.last = conv3(end, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = y + self.trunk_end(self.trunk(y))
        for enlarging, attention, refine in zip(self.enlarging, self.attention, self.refine, strict=True):
            y = enlarging(F.interpolate(y, scale_factor=2, mode="nearest"))
            y = F.leaky_relu(y * torch.sigmoid(attention(y)), PAN_SLOPE)
            y = F.leaky_relu(refine(y), PAN_SLOPE)
        return self.last(y) + F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)


class PReNet(nn.Module):
    """PReNet: six passes through the same residual blocks and a convolutional LSTM."""

    def __init__(self, width: int = 32, blocks: int = 5, passes: int = 6) -> None:
        super().__init__()
        self.width, self.passes = width, passes
        self.first = nn.Sequential(conv3(6, width), nn.ReLU())
        self.gates = conv3(2 * width, 4 * width)  # the four gates of the LSTM as one convolution
        self.blocks = nn.ModuleList(
            nn.Sequential(conv3(width, width), nn.ReLU(), conv3(width, width), nn.ReLU()) for _ in range(blocks)
        )
        self.last = conv3(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = cell = x.new_zeros(len(x), self.width, *x.shape[2:])
        y = x
        for _ in range(self.passes):
            gates = self.gates(torch.cat([self.first(torch.cat([x, y], 1)), hidden], 1)).chunk(4, dim=1)
            taken, forgotten, given = (torch.sigmoid(gate) for gate in (gates[0], gates[1], gates[3]))
            cell = forgotten * cell + taken * torch.tanh(gates[2])
            hidden = given * torch.tanh(cell)
            z = hidden
            for block in self.blocks:
                z = F.relu(z + block(z))
            y = x + self.last(z)
        return y


def conv3(given: int, made: int) -> nn.Conv2d:
    """A convolution 3x3 that keeps height and width."""
    return nn.Conv2d(given, made, 3, padding=1)
