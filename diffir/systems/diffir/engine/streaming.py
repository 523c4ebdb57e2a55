"""Run the network strip by strip: the same result as for the whole photo, with memory for little but feature maps.

This module determines the order of computations and the tensors in memory; the network modules define the result. A
3x3 convolution needs one neighbouring row on each side of a strip, and a pixel-wise layer none; attention and the mean
of CPEN need sums over pixels, which are gathered first. ``TorchBlocks`` or another implementation of ``Blocks`` runs
the blocks. In: a ``Source`` and a prior (B, P). Out: rows of the output.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.inference.strips import Strip, split_rows
from diffir.system import Region, Write
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.dirformer import Block, Level
from diffir.systems.diffir.engine.attention import Statistics
from diffir.systems.diffir.engine.torch_blocks import FEWEST_ROWS, TorchBlocks
from diffir.systems.diffir.tail import FusedTail
from diffir.thumbnail import thumbnail_of


class Blocks(Protocol):
    """Runs the blocks of DIRformer on feature maps (B, C, H, W).

    Both methods overwrite the given map, or return another one and may reuse the memory of the given one later.
    """

    def attend(self, block: Block, x: Tensor, prior: Tensor, statistics: Statistics, factor: int) -> Tensor:
        """Add the output of attention to a map; ``factor`` is the side of a map pixel in pixels of lq."""

    def feed(self, block: Block, x: Tensor, prior: Tensor) -> Tensor:
        """Add the output of the gated feed-forward network to a map."""


MakeBlocks = Callable[[int], Blocks]
"""Makes what runs blocks, given the number of pixels of a strip."""


class StreamedNetwork:
    """A stage-2 network that runs on one device strip by strip."""

    def __init__(
        self,
        network: DiffIR,
        device: torch.device,
        strip_pixels: int,
        blocks: MakeBlocks = TorchBlocks,
        tail: FusedTail | None = None,
    ) -> None:
        """
        Args:
            strip_pixels: number of pixels of a strip; in deeper levels, whose maps are narrower, it has more rows.
            blocks: makes what runs the blocks, for each photo anew.
            tail: computes the output layers by one convolution; None runs them as the network defines them.
        """
        self.network = network
        self.device = device
        self.strip_pixels = strip_pixels
        self.blocks = blocks
        self.tail = tail

    def condition(self, source: Region) -> Tensor:
        """The conditioning vector (B, P) that CPEN computes from whole photos: the mean is summed strip by strip."""
        cpen, factor = self.network.cpen, self.network.settings.prior_unshuffle
        if side := self.network.settings.thumbnail:
            return self.network.condition(thumbnail_of(source, side).to(self.device))
        height = source.height // factor
        # A strip has at least as many rows as the halo that is computed in addition.
        rows = max(self.strip_pixels // (source.width // factor), 2 * cpen.halo)
        total = torch.zeros(1, device=self.device)
        for strip in split_rows(height, rows, cpen.halo):
            lq = source.rows((strip.top - strip.above) * factor, (strip.bottom + strip.below) * factor)
            features = strip.inner(cpen.features(F.pixel_unshuffle(lq.to(self.device), factor)))
            total = total + features.sum(dim=(2, 3))
        return cpen.summarise(total / (height * (source.width // factor)))

    def restore(
        self,
        source: Region,
        prior: Tensor,
        write: Write,
        statistics: Statistics,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> None:
        """Restore a source whose sides are multiples of ``settings.multiple_of``.

        Args:
            prior: (B, P).
            write: receives finished rows of the output, from top to bottom.
            statistics: the sums over pixels that attention uses.
            on_progress: called after each block with the fraction of the blocks that are done.
        """
        u_net, factor = self.network.dirformer, self.network.settings.unshuffle
        blocks = sum(isinstance(module, Block) for module in u_net.modules())
        run = _Run(self, prior, statistics, lambda done: on_progress(done / (blocks + 1)))

        def embed(strip: Strip) -> Tensor:
            lq = source.rows((strip.top - strip.above) * factor, (strip.bottom + strip.below) * factor)
            return u_net.patch_embed(F.pixel_unshuffle(lq.to(self.device), factor))

        # Encoder.
        level1 = run.gather(embed, source.height // factor, source.width // factor, halo=1)
        level1 = run.level(u_net.encoder_level1, level1, factor)
        level2 = run.convolve(u_net.down1_2, level1, halo=2)
        level2 = run.level(u_net.encoder_level2, level2, 2 * factor)
        level3 = run.convolve(u_net.down2_3, level2, halo=2)
        level3 = run.level(u_net.encoder_level3, level3, 4 * factor)
        latent = run.convolve(u_net.down3_4, level3, halo=2)
        latent = run.level(u_net.latent, latent, 8 * factor)

        # Decoder; maps are deleted as soon as they are no longer needed.
        up3 = run.merge(u_net.up4_3, latent, level3, u_net.reduce_chan_level3)
        del latent, level3
        up3 = run.level(u_net.decoder_level3, up3, 4 * factor)
        up2 = run.merge(u_net.up3_2, up3, level2, u_net.reduce_chan_level2)
        del up3, level2
        up2 = run.level(u_net.decoder_level2, up2, 2 * factor)
        up1 = run.merge(u_net.up2_1, up2, level1, nn.Identity())
        del up2, level1
        up1 = run.level(u_net.decoder_level1, up1, factor)
        up1 = run.level(u_net.refinement, up1, factor)
        self._write_output(source, up1, run, write)

    def _write_output(self, source: Region, features: Tensor, run: "_Run", write: Write) -> None:
        u_net, settings = self.network.dirformer, self.network.settings
        # Each convolution needs one row more, at twice the size of the one before: 1 + 1/2 + 1/4 rows of the features.
        halo = 1 if settings.upsample == 1 else 2
        for strip in split_rows(features.shape[-2], max(run.rows_of(features), 4 * halo), halo):
            lq = source.rows(strip.top * settings.unshuffle, strip.bottom * settings.unshuffle)
            seen = strip.of(features)
            if self.tail is None:
                output = u_net.output(seen)
            else:
                output = self.tail(seen, top=strip.above == 0, bottom=strip.below == 0)
            output = strip.inner(output)
            # Add lq in fp32, whatever the precision of the convolutions.
            write(strip.top * settings.upsample, u_net.add_global_skip(output.float(), lq.to(self.device)))


class _Run:
    """The state of one restoration: prior, statistics, size of the strips and progress."""

    def __init__(
        self, network: StreamedNetwork, prior: Tensor, statistics: Statistics, on_block: Callable[[int], None]
    ) -> None:
        self.prior = prior
        self.statistics = statistics
        self.strip_pixels = network.strip_pixels
        self.device = network.device
        self.blocks = network.blocks(network.strip_pixels)
        self.on_block = on_block
        self.blocks_done = 0

    def rows_of(self, x: Tensor) -> int:
        """Number of rows of a strip of ``x``; it is even, so that layers that halve the sides can be applied."""
        return max(self.strip_pixels // x.shape[-1] // 2, FEWEST_ROWS // 2) * 2

    def gather(self, compute: Callable[[Strip], Tensor], height: int, width: int, halo: int) -> Tensor:
        """Compute a map strip by strip; height and width are those of the input, ``halo`` the neighbouring rows."""
        result: Tensor | None = None
        rows = max(self.strip_pixels // width // 2, FEWEST_ROWS // 2) * 2
        for strip in split_rows(height, rows, halo):
            inner = strip.inner(compute(strip))
            factor = Fraction(inner.shape[-2], strip.bottom - strip.top)
            if result is None:
                shape = (*inner.shape[:2], int(height * factor), inner.shape[-1])
                # Channels last, so that a strip is contiguous and pixel-wise layers need no copies. fp32, because the
                # blocks add their residuals to this map.
                result = torch.empty(shape, device=self.device, memory_format=torch.channels_last)
            result[..., int(strip.top * factor) : int(strip.bottom * factor), :] = inner
        assert result is not None
        return result

    def convolve(self, layer: nn.Module, x: Tensor, halo: int) -> Tensor:
        """Apply a layer whose receptive field reaches ``halo`` rows up and down."""
        return self.gather(lambda strip: layer(strip.of(x)), x.shape[-2], x.shape[-1], halo)

    def merge(self, enlarge: nn.Module, x: Tensor, skip: Tensor, reduce: nn.Module) -> Tensor:
        """Enlarge a map, concatenate the skip connection and reduce the channels."""

        def join(strip: Strip) -> Tensor:
            beside = skip[..., 2 * (strip.top - strip.above) : 2 * (strip.bottom + strip.below), :]
            return reduce(torch.cat([enlarge(strip.of(x)), beside], dim=1))

        return self.gather(join, x.shape[-2], x.shape[-1], halo=1)

    def level(self, blocks: Level, x: Tensor, factor: int) -> Tensor:
        """Run the blocks of a level; the feature map x is overwritten.

        Args:
            factor: side of a map pixel in pixels of lq.
        """
        for block in blocks:
            assert isinstance(block, Block)
            x = self.blocks.attend(block, x, self.prior, self.statistics, factor)
            x = self.blocks.feed(block, x, self.prior)
            self.blocks_done += 1
            self.on_block(self.blocks_done)
        return x
