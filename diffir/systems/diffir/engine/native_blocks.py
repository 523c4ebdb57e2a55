"""Run the blocks of a network with compiled kernels on the CPU, several times faster than ``TorchBlocks``.

Norm and modulation are combined into one gain and shift per channel. The 1x1 and the depthwise convolution of a row of
pixels are computed together, so that intermediate results stay in the cache. Attention is multiplied with the output
projection first where that saves work. In and out: feature maps (B, C, H, W), channels last, float32.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from diffir.native.bindings import Expansion, Kernels
from diffir.systems.diffir.dirformer import DMTA, Block
from diffir.systems.diffir.engine.attention import Statistics, Sums
from diffir.systems.diffir.layers import ChannelNorm

_SIDE_OF_SUMS = 64  # side in pixels of the squares whose sums one thread gathers at a time
_MOST_SUMS = 256  # such squares per map; in larger maps the squares are larger
_MIXING_BYTES = 32 << 20  # memory for the attention matrices that are computed at a time
_FOLDING_PAYS = 4  # pixels per channel for which one attention matrix must serve before folding saves work


@dataclass(frozen=True)
class _Layers:
    """Weights of a block in the layout of the compiled kernels."""

    query_key: tuple[Tensor, Tensor]
    """The 1x1 and the depthwise 3x3 convolution of queries and keys; ``value`` and ``gate_value`` likewise."""
    value: tuple[Tensor, Tensor]
    attention_out: Tensor
    gate_value: tuple[Tensor, Tensor]
    feed_out: Tensor


class PackedNetwork:
    """The weights of one network in the layout of the kernels; packed once, so they must not change afterwards."""

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self._layers: dict[Block, _Layers] = {}

    def layers(self, block: Block) -> _Layers:
        """The packed weights of a block."""
        if block not in self._layers:
            dmta, dgfn, pack = block.attn, block.ffn, self.kernels.pack
            channels, hidden = dmta.project_out.out_channels, dgfn.project_out.in_channels
            self._layers[block] = _Layers(
                self._pack_pair(dmta.qkv, dmta.qkv_dwconv, [(0, channels), (channels, 2 * channels)]),
                self._pack_pair(dmta.qkv, dmta.qkv_dwconv, [(2 * channels, 3 * channels)]),
                pack(dmta.project_out.weight.flatten(1)),
                self._pack_pair(dgfn.project_in, dgfn.dwconv, [(0, hidden), (hidden, 2 * hidden)]),
                pack(dgfn.project_out.weight.flatten(1)),
            )
        return self._layers[block]

    def _pack_pair(self, expand: nn.Conv2d, taps: nn.Conv2d, parts: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Pack a 1x1 and a 3x3 convolution for ranges of channels; each range is padded to whole vector registers."""
        pack, pack_taps, weights = self.kernels.pack, self.kernels.pack_taps, expand.weight.flatten(1)
        return (
            torch.cat([pack(weights[start:stop]) for start, stop in parts]),
            torch.cat([pack_taps(taps.weight[start:stop]) for start, stop in parts]),
        )


class NativeBlocks:
    """Runs blocks for one batch of photos; two feature maps alternate as input and output."""

    def __init__(self, network: PackedNetwork) -> None:
        self._network = network
        self._kernels = network.kernels
        self._spare = torch.empty(0)

    def attend(self, block: Block, x: Tensor, prior: Tensor, statistics: Statistics, factor: int) -> Tensor:
        """Add the output of attention to a map, in another map; ``factor``: side of a map pixel in pixels of lq."""
        layers, dmta, windows = self._network.layers(block), block.attn, statistics.windows
        with torch.autocast("cpu", enabled=False):
            gains, shifts = block.norm1.fold(dmta.modulation(prior))
            expansion = partial(self._expansion, block.norm1, gains, shifts)
            cell = None if windows is None else windows.cell // factor

            # Gather the sums over pixels unless they are known.
            sums = statistics.known(dmta)
            if sums is None:
                images = [
                    self._sums(image, expansion(number, layers.query_key), dmta.heads, cell)
                    for number, image in enumerate(_images(x))
                ]
                sums = statistics.settle(dmta, Sums.of_images(images))

            # Mix the values with the attention that follows from them.
            out = self._output_map(x)
            for number, (image, target) in enumerate(zip(_images(x), _images(out), strict=True)):
                self._mix(
                    *(image, target, expansion(number, layers.value), dmta),
                    sums=sums.of_image(number),
                    cell=cell,
                    reach=0 if windows is None else windows.reach,
                    project=layers.attention_out,
                )
        return out

    def feed(self, block: Block, x: Tensor, prior: Tensor) -> Tensor:
        """Add the output of the gated feed-forward network to a map, in another map."""
        layers, out = self._network.layers(block), self._output_map(x)
        hidden = block.ffn.project_out.in_channels
        with torch.autocast("cpu", enabled=False):
            gains, shifts = block.norm2.fold(block.ffn.modulation(prior))
            for number, (image, target) in enumerate(zip(_images(x), _images(out), strict=True)):
                expansion = self._expansion(block.norm2, gains, shifts, number, layers.gate_value)
                self._kernels.feed(image, target, expansion, layers.feed_out, hidden)
        return out

    def _output_map(self, x: Tensor) -> Tensor:
        """A map to write to: the input of the call before, if it has the same shape."""
        assert not torch.is_grad_enabled() or not x.requires_grad, "the compiled kernels have no gradients"
        out = self._spare if self._spare.shape == x.shape else torch.empty_like(x)
        self._spare = x
        return out

    def _sums(self, image: Tensor, expansion: Expansion, heads: int, cell: int | None) -> Sums:
        if cell is not None:
            return Sums(*(found[None] for found in self._kernels.sums(image, expansion, heads, (cell, cell))))

        # Divide the map into about equal squares for the threads.
        squares = math.ceil(math.sqrt(image.shape[0] * image.shape[1] / _MOST_SUMS) / _SIDE_OF_SUMS)
        side = _SIDE_OF_SUMS * squares
        # At most half of a low map, so that two threads have work.
        height = min(side, max(-(-image.shape[0] // 2), 8))
        found = self._kernels.sums(image, expansion, heads, (height, side))
        return Sums(*(cells.sum(dim=(0, 1), keepdim=True)[None] for cells in found))

    def _mix(
        self,
        image: Tensor,
        target: Tensor,
        expansion: Expansion,
        dmta: DMTA,
        *,
        sums: Sums,
        cell: int | None,
        reach: int,
        project: Tensor,
    ) -> None:
        """Add attention times values, projected, to an image (H, W, C), and write the result to ``target``."""
        # Decide if attention and projection are multiplied first.
        height, width, channels = image.shape
        cell_size = (height, width) if cell is None else (cell, cell)
        folds = cell_size[0] * cell_size[1] >= _FOLDING_PAYS * channels

        # Compute the attention matrices of some rows of cells at a time, to limit memory.
        columns = sums.products.shape[2]
        matrix_bytes = 4 * (channels**2 if folds else channels**2 // dmta.heads)
        rows = max(_MIXING_BYTES // (columns * matrix_bytes), 1)
        for first in range(0, sums.products.shape[1], rows):
            last = min(first + rows, sums.products.shape[1])
            mixing = sums.around(reach, first, last).attention(dmta)[0]
            if folds:
                mixing = dmta.project(mixing)[..., None, :, :]
            top, bottom = first * cell_size[0], min(last * cell_size[0], height)
            self._kernels.mix(
                *(image, target, expansion, mixing),
                project=None if folds else project,
                cell=cell_size,
                top=top,
                bottom=bottom,
            )

    def _expansion(
        self, norm: ChannelNorm, gains: Tensor, shifts: Tensor, number: int, layers: tuple[Tensor, Tensor]
    ) -> Expansion:
        pad = self._kernels.pad
        return Expansion(pad(gains[number]), pad(shifts[number]), norm.bias is not None, *layers)


def _images(x: Tensor) -> list[Tensor]:
    """The images of a channels-last map (B, C, H, W), each as a view (H, W, C)."""
    return list(x.permute(0, 2, 3, 1))
