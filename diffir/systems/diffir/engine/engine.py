"""The engine of DiffIR: runs a network on one device, in strips, with certain statistics and kernels.

In: photos as a ``Source``, and a prior (B, P) or the seed of the noise that the prior is estimated from. Out: rows of
the output. The prior is computed once per photo, from the whole photo and in fp32, so it depends neither on the tiles
nor on the other photos of a batch.
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from diffir.errors import UsageError
from diffir.inference.device import autocast, free_bytes
from diffir.native.bindings import find_kernels
from diffir.system import OnProgress, Precision, Region, Session, Write, without_prior
from diffir.systems.diffir.engine.attention import RecordedStatistics, Statistics, Windows
from diffir.systems.diffir.engine.graphs import GraphSession, restorer_graph
from diffir.systems.diffir.engine.memory import Plan, plan_photo, tile_of_graph
from diffir.systems.diffir.engine.native_blocks import NativeBlocks, PackedNetwork
from diffir.systems.diffir.engine.streaming import MakeBlocks, StreamedNetwork
from diffir.systems.diffir.engine.torch_blocks import TorchBlocks
from diffir.systems.diffir.engine.triton_blocks import TritonBlocks, has_triton
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.restore_options import DiffIROptions, EngineName
from diffir.systems.diffir.tail import FusedTail, Tail

ChosenStats = Literal["tile", "global", "local"]


class DiffIREngine:
    """A stage-2 network on its device, ready to restore; the methods are described in ``diffir.system.Engine``."""

    least_overlap = 0

    def __init__(
        self,
        network: DiffIR,
        device: torch.device,
        precision: Precision,
        options: DiffIROptions,
        *,
        strip_pixels: int = 0,
    ) -> None:
        """
        Args:
            network: a stage-2 network in eval mode.
            precision: the one that restoring starts with; sessions accept higher ones, too.
            options: kernels and statistics.
            strip_pixels: number of pixels of a strip; 0 chooses by device and free memory.
        Raises:
            UsageError: the kernels are not available, or the statistics are not possible with these weights.
        """
        # Check the options.
        if options.engine not in get_args(EngineName):
            raise UsageError(f"unknown engine {options.engine!r}; known: {', '.join(get_args(EngineName))}")
        if options.engine == "native" and (device.type != "cpu" or find_kernels(precision) is None):
            raise UsageError(f"the compiled kernels are not available for {precision} on {device}; use engine torch")
        if options.engine == "triton" and not has_triton(device):
            missing = "the package triton" if device.type == "cuda" else f"an NVIDIA card, not {device}"
            raise UsageError(f"engine triton needs {missing}; use engine torch")
        self.stats = choose_stats(options.stats, options.patch)
        if options.engine == "onnx":
            self._refuse_what_graphs_cannot(device, precision)
        elif options.graphs is not None:
            raise UsageError("graphs are for engine onnx: choose it, or leave them out")

        # Keep what restoring needs; weights are packed for compiled kernels at the first use.
        self.network: DiffIR = network
        self.has_prior = network.settings.prior_width > 0
        self.seed_meaning = "prior seed" if self.has_prior else ""
        self._fixed_strip = strip_pixels
        self.facts = network.settings.facts
        self.device = device
        self.windows = chosen_windows(options, self.facts.multiple_of)
        self._choice = options.engine
        self._graph = restorer_graph(network, self.windows, options.graphs) if options.engine == "onnx" else None
        self._packed: dict[Precision, PackedNetwork | None] = {}
        self._tail: FusedTail | None = None

    def _refuse_what_graphs_cannot(self, device: torch.device, precision: Precision) -> None:
        if device.type != "cpu":
            raise UsageError(f"engine onnx runs on the CPU, not on {device}: choose device cpu, or engine torch")
        if precision != "fp32":
            raise UsageError(f"engine onnx computes in fp32, not in {precision}: choose fp32, or engine torch")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the packed weights: another process finds its own kernels, and a copy may get other weights."""
        return {**vars(self), "_packed": {}, "_tail": None}

    @property
    def tile_step(self) -> int:
        """Tiles start at multiples of this; with windows it is a cell, so that the cells of all tiles form one grid."""
        return self.facts.multiple_of if self.windows is None else self.windows.cell

    @property
    def description(self) -> str:
        return f"{self.stats} statistics"

    def in_use(self, precision: Precision) -> dict[str, Any]:
        """The kernels that run the blocks, the statistics of attention, and the kind of prior."""
        others = "triton" if self._uses_triton else "torch" if self.packed(precision) is None else "native"
        return {
            "engine": "onnx" if self._graph else others,
            "stats": self.stats,
            "prior": "diffusion" if self.has_prior else "none",
        }

    def to(self, device: torch.device) -> None:
        self.device, self._tail = device, None
        self.network.to(device)

    def largest_tile(self, height: int, width: int, batch: int) -> int | None:
        if self._graph is not None:
            return tile_of_graph(free_bytes(self.device), self.network.settings, height, width)
        return self._plan(height, width, batch).tile

    def strip_pixels(self, photos: Region, tile: int | None) -> int:
        """Number of pixels of a strip; at most that of one tile."""
        strip = self._fixed_strip or self._plan(photos.height, photos.width, photos.batch).strip_pixels
        return strip if tile is None else min(strip, tile**2)

    def packed(self, precision: Precision) -> PackedNetwork | None:
        """The weights in the layout of the compiled kernels; None if torch runs the blocks."""
        if self._choice not in ("auto", "native") or self.device.type != "cpu":
            return None
        if precision not in self._packed:
            kernels = find_kernels(precision)
            self._packed[precision] = None if kernels is None else PackedNetwork(kernels)
        return self._packed[precision]

    @property
    def _uses_triton(self) -> bool:
        return self._choice == "triton" and has_triton(self.device)  # not after a move to the CPU for want of memory

    def blocks(self, precision: Precision) -> MakeBlocks:
        """What runs the blocks of the network: the compiled kernels, Triton's, or torch."""
        if self._uses_triton:
            return TritonBlocks
        packed = self.packed(precision)
        return TorchBlocks if packed is None else lambda strip_pixels: NativeBlocks(packed)

    def tail(self) -> FusedTail | None:
        """The output layers that upsample as one convolution; None for networks that have no such layers."""
        output = self.network.dirformer.output
        if self._tail is None and isinstance(output, Tail):
            self._tail = FusedTail(output)
        return self._tail

    def open(
        self, photos: Region, *, seed: int, prior: Tensor | None, tile: int | None, precision: Precision
    ) -> Session:
        if not self.has_prior:
            prior = torch.ones(1, 1)
        elif prior is None:
            prior = self.estimate_prior(photos, seed=seed, tile=tile)
        prior = prior.to(self.device).expand(photos.batch, -1)
        if self._graph is not None:
            return GraphSession(self._graph, prior, shares_sums=tile is not None and self.stats == "global")
        return DiffIRSession(self, prior, self.strip_pixels(photos, tile), is_tiled=tile is not None)

    def estimate_prior(self, photos: Region, *, seed: int, tile: int | None = None) -> Tensor:
        """Estimate the priors (B, P) of whole photos in fp32; all photos start from the same noise."""
        if not self.has_prior:
            without_prior(self)
        return self.denoise(self.condition(photos, tile=tile), self.start_noise(seed))

    def condition(self, photos: Region, *, tile: int | None = None) -> Tensor:
        """The conditioning vector (B, P) that CPEN computes from whole photos, always in fp32.

        It takes an eighth of the time, a quarter in networks that enlarge, and every pixel depends on it.
        """
        with autocast(self.device, "fp32"):
            return StreamedNetwork(self.network, self.device, self.strip_pixels(photos, tile)).condition(photos)

    def denoise(self, condition: Tensor, noise: Tensor) -> Tensor:
        """The prior (B, P) after all reverse steps, from noise (1, P) and a conditioning vector (B, P)."""
        noise = noise.expand(len(condition), -1).to(condition.device)
        with autocast(self.device, "fp32"):
            return self.network.denoise_prior(noise, condition)[-1]

    def start_noise(self, seed: int) -> Tensor:
        """The noise (1, P) that the reverse process starts from, on the CPU; it depends on the seed alone."""
        return torch.randn(1, self.network.settings.prior_width, generator=torch.Generator().manual_seed(seed))

    def check_prior(self, prior: Tensor, batch: int, name: str) -> None:
        if not self.has_prior:
            without_prior(self)
        width = self.network.settings.prior_width
        if prior.shape not in ((1, width), (batch, width)):
            raise UsageError(f"{name} takes a prior of shape (1, {width}), got {tuple(prior.shape)}")

    def multiply_adds(self, side: int) -> int:
        from diffir.systems.diffir.engine.operation_count import count_multiply_adds  # only tables need it

        return count_multiply_adds(self.network, side=side)

    def _plan(self, height: int, width: int, batch: int) -> Plan:
        settings, free = self.network.settings, free_bytes(self.device)
        return plan_photo(self.device, free, settings, self.windows, height, width, batch=batch)


class DiffIRSession:
    """The state of one batch of photos while it is restored: the prior, and statistics that all tiles share."""

    def __init__(self, engine: DiffIREngine, prior: Tensor, strip_pixels: int, *, is_tiled: bool) -> None:
        self._engine = engine
        self._prior = prior
        self._strip_pixels = strip_pixels
        self._statistics = Statistics(engine.windows)
        self.passes = 1
        if is_tiled and engine.stats == "global":
            self.passes, self._statistics = 2, RecordedStatistics()

    def restore(self, region: Region, write: Write, precision: Precision, on_progress: OnProgress) -> None:
        engine = self._engine
        blocks, tail = engine.blocks(precision), engine.tail()
        with autocast(engine.device, precision), self._statistics.attempt():
            streamed = StreamedNetwork(engine.network, engine.device, self._strip_pixels, blocks, tail)
            streamed.restore(region, self._prior, write, self._statistics, on_progress)

    def end_first_pass(self) -> None:
        """Let all following tiles use the sums that the first pass recorded."""
        assert isinstance(self._statistics, RecordedStatistics)
        self._statistics.is_replaying = True


def choose_stats(stats: str, patch: int | None) -> ChosenStats:
    """Resolve the option ``stats``: ``auto`` is ``local`` if the size of training patches is known, else ``global``.

    Raises:
        UsageError: there are no such statistics, or ``local`` is requested for weights of unknown patch size.
    """
    choices: dict[str, ChosenStats] = {"auto": "local" if patch else "global"}
    choices |= {"tile": "tile", "global": "global", "local": "local"}
    if stats not in choices:
        raise UsageError(f"unknown stats {stats!r}; known: {', '.join(choices)}")
    if stats == "local" and not patch:
        raise UsageError("local statistics need the patch size of the training, which these weights do not state")
    return choices[stats]


def chosen_windows(options: DiffIROptions, multiple_of: int) -> Windows | None:
    """The windows of local statistics; None for others. Raises the errors of ``choose_stats``."""
    stats = choose_stats(options.stats, options.patch)
    return Windows.for_patch(options.patch or 0, multiple_of) if stats == "local" else None
