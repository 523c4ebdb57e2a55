"""``Restorer``: a network made ready to restore images of any size, kind and depth.

Decided here: device, precision, whose statistics attention uses, the seed of the prior, self-ensemble, strength. In:
arrays (``restore``) or tensors (``restore_tensor``). Out: the same kind. The prior is estimated once a photo, from the
whole of it and always from the same noise, so it depends neither on the tiles nor on the rest of a batch. DiffIR
(Xia et al., ICCV 2023), stage 2.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from diffir.errors import ImageError, UsageError
from diffir.inference.device import Precision, resolve_device, resolve_precision
from diffir.inference.runner import AUTO, OnProgress, Runner, choose_stats
from diffir.inference.source import Canvas, Source, check_image, turn_back
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.engine.attention import Windows
from diffir.systems.diffir.engine.streaming import Write
from diffir.systems.diffir.engine.strips import split_rows
from diffir.systems.diffir.tasks import TASKS
from diffir.weights.card import WeightsCard
from diffir.weights.catalogue import default_name
from diffir.weights.load import load_network

LARGEST_SEED = 2**63 - 1  # what torch takes everywhere
_TURNS = [(quarter_turns, mirrored) for mirrored in (False, True) for quarter_turns in range(4)]
_BLEND_ROWS = 256  # rows of lq that are blended with the input at once
_BICUBIC_REACH = 4  # rows that bicubic enlargement sees, and a few more


def load(
    name_or_path: str | Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    tile: int = AUTO,
    tile_overlap: int = 32,
    stats: str = "auto",
    tta: bool = False,
    strength: float = 1.0,
    seed: int = 0,
) -> "Restorer":
    """A restorer with the network of that name or file; without one, the default that ships with diffir.

    Arguments are those of ``Restorer``.

    Raises:
        UsageError: no such name, file, device or precision.
        WeightsError: the file does not hold a stage-2 network.
    """
    network, card = load_network(default_name() if name_or_path is None else name_or_path, stage=2)
    if stats == "auto":  # released networks are published with global ones; a window may tell too little
        row = TASKS.get(card.task or "")
        needs_whole = card.settings.has_mask or (row is not None and row.needs_whole)
        stats = "global" if card.patch is None or needs_whole else "local"
    return Restorer(
        network,
        name=card.name,
        task=card.task,
        device=device,
        precision=precision,
        engine=engine,
        tile=tile,
        tile_overlap=tile_overlap,
        stats=stats,
        patch=card.patch or _released_patch(card),
        tta=tta,
        strength=strength,
        seed=seed,
    )


def _released_patch(card: WeightsCard) -> int | None:
    row = TASKS.get(card.task or "")
    return None if row is None or row.patch is None else row.patch // row.arch.scale


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
        engine: str = "auto",
        tile: int = AUTO,
        tile_overlap: int = 32,
        stats: str = "auto",
        patch: int | None = None,
        tta: bool = False,
        strength: float = 1.0,
        seed: int = 0,
    ) -> None:
        """
        Args:
            network: of stage 2; it is moved to the device and set to eval mode.
            name: what tables and messages call it.
            task: its row of ``diffir.systems.diffir.tasks.TASKS``, if it has one.
            device: auto, cpu, cuda, cuda:N, mps.
            precision: auto, fp32, bf16, fp16.
            engine: what runs the blocks: ``native``, compiled kernels (CPU, fp32 and bf16); ``torch``; ``auto``, the
                kernels where they are.
            tile: side of tiles in pixels of the input, ``AUTO`` (0) by free memory, ``WHOLE`` (-1) never.
            tile_overlap: pixels that neighbouring tiles share; half a tile at most.
            stats: what attention gathers its statistics from: ``global``, the whole photo; ``local``, windows as large
                as the training patches; ``tile``, each tile for itself; ``auto``, local if ``patch`` is given (``load``
                knows better: what suits the weights).
            patch: side of the training patches in pixels of the input; what ``local`` needs.
            tta: self-ensemble, the mean over the eight turns and mirrorings; eight times the work.
            strength: 1 is the restored photo, 0 the input (enlarged bicubically), between them a blend.
            seed: of the noise that each photo's prior starts from.
        Raises:
            UsageError: a stage-1 network, or a value that is not allowed.
        """
        if network.stage != 2:
            raise UsageError("only a stage-2 network can restore; this one needs the clean image to find its prior")
        if not 0 <= seed <= LARGEST_SEED:
            raise UsageError(f"seed must be from 0 to {LARGEST_SEED}, got {seed}")
        if not 0 <= strength <= 1:
            raise UsageError(f"strength must be from 0 (the input) to 1 (restored), got {strength}")
        self.name = name
        self.task = task
        self.tta = tta
        self.strength = strength
        self.seed = seed
        resolved, chosen = resolve_device(device), choose_stats(stats, patch)
        self._runner = Runner(
            network,
            resolved,
            resolve_precision(precision, resolved),
            engine=engine,
            tile=tile,
            overlap=tile_overlap,
            stats=chosen,
            windows=Windows.for_patch(patch or 0, network.settings.multiple_of) if chosen == "local" else None,
        )

    @property
    def settings(self) -> ArchSettings:
        """What built the network."""
        return self._runner.settings

    @property
    def network(self) -> DiffIR:
        """The network itself, on its device; not to be moved or trained."""
        return self._runner.network

    @property
    def scale(self) -> int:
        """Side of the output over side of the input."""
        return self.settings.scale

    @property
    def has_mask(self) -> bool:
        """Whether it fills holes, and so needs a mask with every photo."""
        return self.settings.has_mask

    @property
    def device(self) -> torch.device:
        """Where it runs now; the CPU, once the device has run out of memory for even the smallest tile."""
        return self._runner.device

    @property
    def precision(self) -> Precision:
        """Of convolutions and matrix products."""
        return self._runner.precision

    @property
    def engine(self) -> str:
        """What runs the blocks now: native or torch."""
        return self._runner.engine

    @property
    def tile(self) -> int:
        """As it was asked for."""
        return self._runner.tile

    @property
    def tile_overlap(self) -> int:
        """As it was asked for."""
        return self._runner.overlap

    @property
    def stats(self) -> str:
        """tile, global or local."""
        return self._runner.stats

    @property
    def last_tile(self) -> int | None:
        """Tile of the latest photo; None: it was restored whole."""
        return self._runner.last_tile

    def take_notes(self) -> list[str]:
        """What went differently than asked since the last call, such as smaller tiles or a higher precision."""
        notes, self._runner.notes = self._runner.notes, []
        return notes

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        *,
        prior: Tensor | None = None,
        on_progress: OnProgress | None = None,
    ) -> np.ndarray:
        """Restore one photo.

        Args:
            image: H x W x 3 RGB, or grey as H x W x 1 or H x W (the network then sees three equal channels, and the
                mean of its three comes back): uint8, uint16, or float with white at 1. Floats outside [0, 1] reach
                the network as they are, as noise in benchmarks does.
            mask: H x W, anything above 0 is a hole; for inpainting networks only, and required there.
            prior: (1, P), to be used instead of the estimated one.
            on_progress: told the share that is done, above 0 and up to 1, now and then.
        Returns:
            scale*H x scale*W x C of the same type; floats in [0, 1], integers rounded.
        Raises:
            UsageError: a mask too many or none where one is needed, a prior of another shape.
            ImageError: not such an array, or a mask of another size.
        """
        masks = None if mask is None else [mask]
        return self.restore_batch([image], masks, prior=prior, on_progress=on_progress)[0]

    def restore_batch(
        self,
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray] | None = None,
        *,
        prior: Tensor | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[np.ndarray]:
        """Restore photos of one shape and type together; each comes out as it would alone.

        Args:
            images, masks, on_progress: as ``restore`` takes them.
            prior: (B, P), or (1, P) for all.
        """
        source = self._source(images, masks)
        first = images[0]
        if self.strength == 0 and self.scale == 1:
            return [image.copy() for image in images]
        canvas = Canvas.like(source, self.scale, first.dtype, clips=True)
        self._restore_source(source, prior, canvas, on_progress)
        return [array[:, :, 0] if first.ndim == 2 else array for array in canvas.images]

    def restore_tensor(self, lq: Tensor, mask: Tensor | None = None, *, prior: Tensor | None = None) -> Tensor:
        """Restore a batch of photos of one size.

        Args:
            lq: (B, 3, H, W) float32, RGB, nominally in [0, 1]; any size, any device.
            mask: (B, 1, H, W), 1 = hole, 0 = known; for inpainting networks only, and required there.
            prior: (B, P), or (1, P) for all; estimated when not given.
        Returns:
            (B, 3, scale*H, scale*W) float32 on the device of ``lq``, not clamped. Inpainting networks keep the known
            pixels: mask * restored + (1 - mask) * lq.
        """
        source = self._tensor_source(lq, mask)
        canvas = Canvas.like(source, self.scale, np.dtype(np.float32), clips=False)
        self._restore_source(source, prior, canvas, None)
        return rearrange(torch.from_numpy(canvas.images), "b h w c -> b c h w").to(lq.device)

    @torch.inference_mode()
    def estimate_prior(self, lq: Tensor, mask: Tensor | None = None) -> Tensor:
        """The prior (B, P) of each photo, on the restorer's device; arguments as in ``restore_tensor``."""
        return self._estimate_prior(self._tensor_source(lq, mask))

    @torch.inference_mode()
    def estimate_prior_of(self, image: np.ndarray, mask: np.ndarray | None = None) -> Tensor:
        """The prior (1, P) of a photo, on the CPU; arguments as in ``restore``."""
        return self._estimate_prior(self._source([image], None if mask is None else [mask])).cpu()

    @torch.inference_mode()
    def condition_of(self, image: np.ndarray, mask: np.ndarray | None = None) -> Tensor:
        """What the denoiser is told of a photo, (1, P) on the CPU; arguments as in ``restore``."""
        return self._runner.condition(self._source([image], None if mask is None else [mask])).cpu()

    def start_noise(self) -> Tensor:
        """What the prior of every photo is denoised from, (1, P) on the CPU: a function of the seed alone."""
        return torch.randn(1, self.settings.prior_width, generator=torch.Generator().manual_seed(self.seed))

    def _source(self, images: Sequence[np.ndarray], masks: Sequence[np.ndarray] | None) -> Source:
        for number, image in enumerate(images):
            check_image(image)
            if image.shape != images[0].shape or image.dtype != images[0].dtype:
                raise UsageError("photos of a batch must be of one shape and type")
            if masks is not None and masks[number].shape != image.shape[:2]:
                raise ImageError(
                    f"the mask is {_size(masks[number])} but the image is {_size(image)}; both must be equal"
                )
        self._check_mask(masks is not None)
        stacked_masks = None if masks is None else _stacked(masks)
        return Source.whole(_stacked([np.atleast_3d(image) for image in images]), stacked_masks, self.settings)

    def _tensor_source(self, lq: Tensor, mask: Tensor | None) -> Source:
        self._check_mask(mask is not None)
        images = rearrange(lq.float().cpu(), "b c h w -> b h w c").numpy()
        return Source.whole(images, None if mask is None else mask[:, 0].cpu().numpy(), self.settings)

    def _check_mask(self, is_given: bool) -> None:
        if self.has_mask and not is_given:
            raise UsageError(f"{self.name} fills holes: it needs a mask, above 0 where pixels are missing")
        if is_given and not self.has_mask:
            raise UsageError(f"{self.name} takes no mask; masks are for inpainting networks")

    def _estimate_prior(self, source: Source) -> Tensor:
        return self._runner.estimate_prior(source, self.start_noise().expand(len(source.images), -1))

    @torch.inference_mode()
    def _restore_source(
        self, source: Source, prior: Tensor | None, canvas: Canvas, on_progress: OnProgress | None
    ) -> None:
        batch, width = len(source.images), self.settings.prior_width
        if prior is not None and prior.shape not in ((1, width), (batch, width)):
            raise UsageError(f"{self.name} takes a prior of shape (1, {width}), got {tuple(prior.shape)}")
        if self.strength == 0:
            for strip in split_rows(source.images.shape[1], _BLEND_ROWS, 0):
                canvas.write(strip.top * self.scale, self._input_rows(source, strip.top, strip.bottom))
        elif self.tta:
            mean = self._ensemble(source, prior, on_progress)
            for strip in split_rows(mean.shape[1], _BLEND_ROWS * self.scale, 0):
                rows = torch.from_numpy(mean[:, strip.top : strip.bottom])
                self._finish(source, canvas)(strip.top, rearrange(rows, "b h w c -> b c h w"))
        else:
            prior = self._estimate_prior(source) if prior is None else prior
            self._runner.restore(source, prior.expand(batch, -1), self._finish(source, canvas), on_progress)

    def _ensemble(self, source: Source, prior: Tensor | None, on_progress: OnProgress | None) -> np.ndarray:
        """The mean over the eight turns, (B, H, W, 3) float32; each turn has its own prior unless one is given."""
        mean = np.zeros((*(self.scale * side for side in source.images.shape[1:3]), 3), np.float32)[None]
        mean = np.repeat(mean, len(source.images), axis=0)
        for number, (quarter_turns, mirrored) in enumerate(_TURNS):
            turned = source.turned(quarter_turns, mirrored)
            canvas = Canvas.like(turned, self.scale, np.dtype(np.float32), clips=False, channels=3)

            def tell(share: float, done: int = number) -> None:
                if on_progress is not None:
                    on_progress((done + share) / len(_TURNS))

            own = self._estimate_prior(turned) if prior is None else prior
            self._runner.restore(turned, own.expand(len(source.images), -1), canvas.write, tell)
            np.divide(canvas.images, len(_TURNS), out=canvas.images)
            mean += turn_back(canvas.images, quarter_turns, mirrored)
        return mean

    def _finish(self, source: Source, canvas: Canvas) -> Write:
        """What turns restored rows into rows of the result: known pixels kept, blended with the input, laid down."""
        if not self.has_mask and self.strength == 1:
            return canvas.write

        def write(top: int, rows: Tensor) -> None:
            start, stop = top // self.scale, (top + rows.shape[-2]) // self.scale
            rows = rows.float().cpu()
            if self.has_mask:
                lq = source.rows(start, stop)[..., : rows.shape[-1]]
                image, holes = lq[:, :-1], lq[:, -1:]
                rows = torch.where(holes > 0, rows, image)
            if self.strength < 1:
                rows = rows.clamp(0, 1) if canvas.clips else rows  # a blend of two pictures, not with what is cut off
                untouched = self._input_rows(source, start, stop)
                rows = torch.lerp(untouched, rows[..., : untouched.shape[-2], : untouched.shape[-1]], self.strength)
            canvas.write(top, rows)

        return write

    def _input_rows(self, source: Source, start: int, stop: int) -> Tensor:
        """Rows of the photo, none of its padding, at the size of the output: bicubic where the network enlarges."""
        photo = source.bare()
        stop = min(stop, photo.height)
        above, below = min(start, _BICUBIC_REACH), min(photo.height - stop, _BICUBIC_REACH)
        rows = photo.rows(start - above, stop + below)
        if self.scale > 1:
            rows = F.interpolate(rows, scale_factor=self.scale, mode="bicubic")
        return rows[..., self.scale * above : rows.shape[-2] - self.scale * below, :]


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """(B, ...); a single one is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
