"""``Restorer``: a network made ready to restore images of any size, kind and depth.

Decided here: device, precision, padding, tiles, the seed of the prior, rounding. In: arrays (``restore``) or tensors
(``restore_tensor``). Out: the same kind. The prior is estimated once a photo, from the whole of it and always from the
same noise, so it depends neither on the tiles nor on the rest of a batch. DiffIR (Xia et al., ICCV 2023), stage 2.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from diffir.archs import ArchSettings, DiffIR
from diffir.errors import DiffIRError, ImageError, UsageError
from diffir.inference.device import autocast, free_bytes, resolve_device, resolve_precision
from diffir.inference.tiling import SMALLEST_TILE, choose_tile, pad_to_multiple, round_tile, run_tiled
from diffir.pixels import as_rgb, to_float, to_kind
from diffir.weights.catalogue import default_name
from diffir.weights.load import load_network

OnTile = Callable[[int, int], None]
WHOLE = -1  # value of ``tile``: never cut
AUTO = 0  # value of ``tile``: by memory
LARGEST_SEED = 2**63 - 1  # what torch takes everywhere

_logger = logging.getLogger(__name__)


def load(
    name_or_path: str | Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    tile: int = AUTO,
    tile_overlap: int = 32,
    seed: int = 0,
) -> "Restorer":
    """A restorer with the network of that name or file; without one, the default that ships with diffir.

    Raises:
        UsageError: no such name, file, device or precision.
        WeightsError: the file does not hold a stage-2 network.
    """
    network, card = load_network(default_name() if name_or_path is None else name_or_path, stage=2)
    return Restorer(
        network,
        name=card.name,
        task=card.task,
        device=device,
        precision=precision,
        tile=tile,
        tile_overlap=tile_overlap,
        seed=seed,
    )


class Restorer:
    """A stage-2 network with everything decided that it needs to restore photos."""

    def __init__(
        self,
        network: DiffIR,
        *,
        name: str = "unnamed",
        task: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        tile: int = AUTO,
        tile_overlap: int = 32,
        seed: int = 0,
    ) -> None:
        """
        Args:
            network: of stage 2; it is moved to the device and set to eval mode.
            name: what tables and messages call it.
            task: its row of ``diffir.tasks.TASKS``, if it has one.
            device: auto, cpu, cuda, cuda:N, mps.
            precision: auto, fp32, bf16, fp16.
            tile: side of tiles in pixels of the input, ``AUTO`` (0) by free memory, ``WHOLE`` (-1) never.
            tile_overlap: pixels that neighbouring tiles share; half a tile at most.
            seed: of the noise that each photo's prior starts from.
        Raises:
            UsageError: a stage-1 network, or a value that is not allowed.
        """
        if network.stage != 2:
            raise UsageError("only a stage-2 network can restore; this one needs the clean image to find its prior")
        if tile < WHOLE:
            raise UsageError(f"tile must be {AUTO} (by memory), {WHOLE} (whole) or a number of pixels, got {tile}")
        if tile_overlap < 0:
            raise UsageError(f"tile_overlap must be 0 or more, got {tile_overlap}")
        if not 0 <= seed <= LARGEST_SEED:
            raise UsageError(f"seed must be from 0 to {LARGEST_SEED}, got {seed}")
        self.name = name
        self.task = task
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.tile = tile
        self.tile_overlap = tile_overlap
        self.seed = seed
        self.last_tile: int | None = None
        """Tile of the latest photo; None: it was restored whole."""
        self._tile_after_failure: int | None = None
        self._network = network.eval().requires_grad_(False).to(self.device)

    @property
    def settings(self) -> ArchSettings:
        """What built the network."""
        return self._network.settings

    @property
    def scale(self) -> int:
        """Side of the output over side of the input."""
        return self.settings.scale

    @property
    def has_mask(self) -> bool:
        """Whether it fills holes, and so needs a mask with every photo."""
        return self.settings.has_mask

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        *,
        prior: Tensor | None = None,
        on_tile: OnTile | None = None,
    ) -> np.ndarray:
        """Restore one photo.

        Args:
            image: H x W x 3 RGB, or grey as H x W x 1 or H x W (the network then sees three equal channels, and the
                mean of its three comes back): uint8, uint16, or float with white at 1. Floats outside [0, 1] reach
                the network as they are, as noise in benchmarks does.
            mask: H x W, anything above 0 is a hole; for inpainting networks only, and required there.
            prior: (1, P), to be used instead of the estimated one.
            on_tile: called after each tile with (tiles done, tiles in all).
        Returns:
            scale*H x scale*W x C of the same type; floats in [0, 1], integers rounded.
        Raises:
            UsageError: a mask too many or none where one is needed, a prior of another shape.
            ImageError: not such an array, or a mask of another size.
        """
        _check_image(image)
        if mask is not None and mask.shape != image.shape[:2]:
            raise ImageError(f"the mask is {_size(mask)} but the image is {_size(image)}; both must be equal")
        colour = as_rgb(to_float(image)).astype(np.float32)
        lq = rearrange(torch.from_numpy(colour), "h w c -> 1 c h w").contiguous()
        holes = None if mask is None else torch.from_numpy(mask > 0).float()[None, None]
        restored = self.restore_tensor(lq, holes, prior=prior, on_tile=on_tile)
        if image.ndim == 2 or image.shape[2] == 1:
            restored = restored.mean(dim=1, keepdim=True)
        array = rearrange(restored[0].clamp(0, 1), "c h w -> h w c").numpy()
        array = to_kind(array, image.dtype)
        return array[:, :, 0] if image.ndim == 2 else array

    @torch.inference_mode()
    def restore_tensor(
        self,
        lq: Tensor,
        mask: Tensor | None = None,
        *,
        prior: Tensor | None = None,
        on_tile: OnTile | None = None,
    ) -> Tensor:
        """Restore a batch of photos of one size.

        Args:
            lq: (B, 3, H, W) float32, RGB, nominally in [0, 1]; any size, any device.
            mask: (B, 1, H, W), 1 = hole, 0 = known; for inpainting networks only, and required there.
            prior: (B, P); estimated when not given.
        Returns:
            (B, 3, scale*H, scale*W) float32 on the device of ``lq``, not clamped. Inpainting networks keep the known
            pixels: mask * restored + (1 - mask) * lq.
        """
        self._check_mask(mask)
        height, width = lq.shape[-2:]
        padded = self._network_input(lq, mask)
        if prior is None:
            prior = self._estimate_prior(padded)
        elif prior.shape != (len(lq), self.settings.prior_width):
            expected = f"({len(lq)}, {self.settings.prior_width})"
            raise UsageError(f"{self.name} takes a prior of shape {expected}, got {tuple(prior.shape)}")
        restored = self._restore_padded(padded, prior.to(self.device), on_tile)
        restored = restored[..., : self.scale * height, : self.scale * width]
        return restored if mask is None else mask * restored + (1 - mask) * lq

    @torch.inference_mode()
    def estimate_prior(self, lq: Tensor, mask: Tensor | None = None) -> Tensor:
        """The prior (B, P) of each photo, on the restorer's device; arguments as in ``restore_tensor``."""
        self._check_mask(mask)
        return self._estimate_prior(self._network_input(lq, mask))

    def _check_mask(self, mask: Tensor | None) -> None:
        if self.has_mask and mask is None:
            raise UsageError(f"{self.name} fills holes: it needs a mask, above 0 where pixels are missing")
        if mask is not None and not self.has_mask:
            raise UsageError(f"{self.name} takes no mask; masks are for inpainting networks")

    def _network_input(self, lq: Tensor, mask: Tensor | None) -> Tensor:
        """(B, C, H', W'): sides padded to a multiple, the mask as last channel, holes at 0."""
        if mask is not None:
            lq = torch.cat([lq * (1 - mask), mask], dim=1)
        return pad_to_multiple(lq, self.settings.multiple_of, symmetric=self.has_mask)

    def _estimate_prior(self, padded: Tensor) -> Tensor:
        """In fp32 whatever the precision: CPEN is a few hundredths of the work, and all pixels hang on its result."""
        noise = torch.randn(1, self.settings.prior_width, generator=torch.Generator().manual_seed(self.seed))
        noise = noise.expand(len(padded), -1).to(self.device)
        try:
            return self._network.estimate_prior(padded.to(self.device), noise=noise)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            size = " x ".join(str(side) for side in padded.shape[:-3:-1])
            raise DiffIRError(
                f"out of memory on {self.device} for the prior of {size} pixels; try device cpu"
            ) from error

    def _restore_padded(self, padded: Tensor, prior: Tensor, on_tile: OnTile | None) -> Tensor:
        """Whole or in tiles; out of memory means smaller tiles, for this photo and all that follow."""

        def run(piece: Tensor) -> Tensor:
            # lq stays fp32 and so does the sum with it at the end, whatever autocast does in between.
            with autocast(self.device, self.precision):
                return self._network.restore(piece.to(self.device), prior)

        while True:
            tile = self._choose_tile(padded)
            self.last_tile = tile
            try:
                return run_tiled(
                    run,
                    padded,
                    tile=tile or max(padded.shape[-2:]),
                    overlap=self.tile_overlap,
                    multiple_of=self.settings.multiple_of,
                    scale=self.scale,
                    on_tile=on_tile,
                )
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Outside the handler, so that the failed attempt's tensors are no longer held by its traceback.
            self._halve(tile or max(padded.shape[-2:]))

    def _choose_tile(self, padded: Tensor) -> int | None:
        """None: whole."""
        height, width = padded.shape[-2:]
        if self.tile == AUTO:
            tile = choose_tile(free_bytes(self.device), self.settings, height, width, batch=len(padded))
        else:
            tile = None if self.tile == WHOLE else self.tile
        tile = min((limit for limit in (tile, self._tile_after_failure) if limit is not None), default=None)
        if tile is None:
            return None
        tile = round_tile(tile, self.tile_overlap, self.settings.multiple_of)
        return None if tile >= max(height, width) else tile

    def _halve(self, side: int) -> None:
        if self.tile == WHOLE:
            raise DiffIRError(f"out of memory on {self.device} with the whole photo; allow tiles with tile 0")
        if side <= SMALLEST_TILE:
            raise DiffIRError(f"out of memory on {self.device} even with tiles of {side} pixels; try device cpu")
        self._tile_after_failure = max(side // 2, SMALLEST_TILE)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        _logger.info("out of memory on %s: going on with tiles of %d pixels", self.device, self._tile_after_failure)


def _check_image(image: np.ndarray) -> None:
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or not image.size:
        raise ImageError(
            f"an image is H x W, H x W x 1 or H x W x 3 (no alpha), not {' x '.join(map(str, image.shape))}"
        )
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise ImageError(f"pixels must be uint8, uint16 or float with white at 1, not {image.dtype}")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ImageError("the image holds NaN or infinite values")


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU allocator and MPS raise a plain RuntimeError.
    return any(words in str(error) for words in ("out of memory", "not enough memory", "can't allocate memory"))
