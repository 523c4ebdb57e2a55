"""``Restorer``: an engine made ready to restore images of any size, kind and depth.

Decided here: what is checked, the self-ensemble, and how the result is laid down. In: arrays (``restore``) or tensors
(``restore_tensor``). Out: the same kind. ``diffir.load`` makes one from a name or a file.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from diffir.errors import ImageError, UsageError
from diffir.inference.finishing import Finish, write_input
from diffir.inference.options import RestoreOptions
from diffir.inference.runner import Runner
from diffir.inference.source import Canvas, Source, check_image, turn_back
from diffir.inference.strips import split_rows
from diffir.system import Engine, OnProgress, Precision

_TURNS = [(quarter_turns, mirrored) for mirrored in (False, True) for quarter_turns in range(4)]
_ROWS = 256  # rows of lq that are finished at once


class Restorer:
    """A network with everything decided that it needs to restore photos."""

    def __init__(
        self,
        engine: Engine,
        precision: Precision,
        options: RestoreOptions,
        *,
        name: str = "unnamed",
        task: str | None = None,
        system: str = "",
    ) -> None:
        """
        Args:
            engine: the network on its device.
            precision: of convolutions and matrix products; ``options.precision`` resolved.
            options: tiles, self-ensemble, strength and seed.
            name: what tables and messages call it.
            task: row of the system's table, if the network is one.
            system: name of the system.
        """
        self.name = name
        self.task = task
        self.system = system
        self.engine = engine
        self.facts = engine.facts
        self.options = options
        self._runner = Runner(engine, precision, tile=options.tile, overlap=options.tile_overlap)

    @property
    def scale(self) -> int:
        """Side of the output divided by the side of the input."""
        return self.facts.scale

    @property
    def has_mask(self) -> bool:
        """Whether it fills missing regions and so needs a mask with every photo."""
        return self.facts.has_mask

    @property
    def device(self) -> torch.device:
        """Where it runs now: the CPU, once another device has run out of memory for even the smallest tile."""
        return self.engine.device

    @property
    def last_tile(self) -> int | None:
        """Tile of the latest photo; None if it was restored whole."""
        return self._runner.last_tile

    def in_use(self) -> dict[str, Any]:
        """All options as they take effect now, in plain types: device and precision resolved, the system's own too."""
        precision = self._runner.precision
        resolved = {"device": str(self.engine.device), "precision": precision}
        return asdict(self.options) | resolved | self.engine.in_use(precision)

    def take_notes(self) -> list[str]:
        """Changes that were necessary since the last call, such as smaller tiles or a higher precision."""
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
            mask: H x W, above 0 where pixels are missing; for inpainting networks only, and required there.
            prior: (1, P), to be used instead of the estimated one.
            on_progress: called now and then with the share that is done, above 0 and up to 1.
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
        if self.options.strength == 0 and self.scale == 1:
            return [image.copy() for image in images]
        canvas = Canvas.like(source, self.scale, first.dtype, clips=True)
        self._restore_source(source, prior, canvas, on_progress)
        return [array[:, :, 0] if first.ndim == 2 else array for array in canvas.images]

    def restore_tensor(self, lq: Tensor, mask: Tensor | None = None, *, prior: Tensor | None = None) -> Tensor:
        """Restore a batch of photos of one size.

        Args:
            lq: (B, 3, H, W) float32, RGB, nominally in [0, 1]; any size, any device.
            mask: (B, 1, H, W), 1 = missing, 0 = known; for inpainting networks only, and required there.
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
        return self._runner.estimate_prior(self._tensor_source(lq, mask), self.options.seed)

    @torch.inference_mode()
    def estimate_prior_of(self, image: np.ndarray, mask: np.ndarray | None = None) -> Tensor:
        """The prior (1, P) of a photo, on the CPU; arguments as in ``restore``."""
        return self._runner.estimate_prior(self.source_of(image, mask), self.options.seed).cpu()

    def source_of(self, image: np.ndarray, mask: np.ndarray | None = None) -> Source:
        """A photo as the engine reads it; arguments as in ``restore``."""
        return self._source([image], None if mask is None else [mask])

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
        return Source.whole(_stacked([np.atleast_3d(image) for image in images]), stacked_masks, self.facts)

    def _tensor_source(self, lq: Tensor, mask: Tensor | None) -> Source:
        self._check_mask(mask is not None)
        images = rearrange(lq.float().cpu(), "b c h w -> b h w c").numpy()
        return Source.whole(images, None if mask is None else mask[:, 0].cpu().numpy(), self.facts)

    def _check_mask(self, is_given: bool) -> None:
        if self.has_mask and not is_given:
            raise UsageError(f"{self.name} fills holes: it needs a mask, above 0 where pixels are missing")
        if is_given and not self.has_mask:
            raise UsageError(f"{self.name} takes no mask; masks are for inpainting networks")

    @torch.inference_mode()
    def _restore_source(
        self, source: Source, prior: Tensor | None, canvas: Canvas, on_progress: OnProgress | None
    ) -> None:
        if prior is not None:
            self.engine.check_prior(prior, source.batch, self.name)
        finish = Finish(source, canvas, self.facts, self.options.strength)
        if self.options.strength == 0:
            write_input(source, canvas, self.scale)
        elif self.options.tta:
            mean = self._ensemble(source, prior, on_progress)
            for strip in split_rows(mean.shape[1], _ROWS * self.scale, 0):
                rows = torch.from_numpy(mean[:, strip.top : strip.bottom])
                finish(strip.top, rearrange(rows, "b h w c -> b c h w"))
        else:
            self._runner.restore(source, finish, seed=self.options.seed, prior=prior, on_progress=on_progress)

    def _ensemble(self, source: Source, prior: Tensor | None, on_progress: OnProgress | None) -> np.ndarray:
        """The mean over the eight turns, (B, H, W, 3) float32; each turn has its own prior unless one is given."""
        mean = np.zeros((*(self.scale * side for side in source.images.shape[1:3]), 3), np.float32)[None]
        mean = np.repeat(mean, source.batch, axis=0)
        for number, (quarter_turns, mirrored) in enumerate(_TURNS):
            turned = source.turned(quarter_turns, mirrored)
            canvas = Canvas.like(turned, self.scale, np.dtype(np.float32), clips=False, channels=3)

            def report(share: float, done: int = number) -> None:
                if on_progress is not None:
                    on_progress((done + share) / len(_TURNS))

            self._runner.restore(turned, canvas.write, seed=self.options.seed, prior=prior, on_progress=report)
            np.divide(canvas.images, len(_TURNS), out=canvas.images)
            mean += turn_back(canvas.images, quarter_turns, mirrored)
        return mean


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """(B, ...); a single array is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
