"""``Restorer``: restores images of any size, grey or RGB, in any data type, with the engine of a network.

This module checks the input, averages the self-ensemble and finishes the result. In: arrays (``restore``) or tensors
(``restore_tensor``). Out: the same kind. ``diffir.load`` makes a restorer from the name or file of weights.
"""

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from diffir.errors import ImageError, UsageError
from diffir.inference.finishing import Finish, write_input
from diffir.inference.mask_seam import seam_weights
from diffir.inference.options import RestoreOptions
from diffir.inference.runner import Runner
from diffir.inference.source import OutputImages, Source, check_image, turn_back
from diffir.inference.strips import split_rows
from diffir.inference.tone import ToneChange
from diffir.system import Engine, OnProgress, Precision, Write
from diffir.thumbnail import shrunk

# The eight rotations and reflections of the self-ensemble.
_TURNS = [(quarter_turns, mirrored) for mirrored in (False, True) for quarter_turns in range(4)]
_ROWS = 256  # rows of lq that are finished at a time
_SEAMLESS_MARGIN = 64  # pixels of lq that a seamless texture continues on each side; edges then meet within rounding

_RestorerT = TypeVar("_RestorerT", bound="Restorer")


class Restorer:
    """A network on its device with all options for restoring photos."""

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
            engine: runs the network on its device.
            precision: that of convolutions and matrix products; ``options.precision`` with "auto" resolved.
            options: tiles, self-ensemble, strength and seed are read from it.
            name: name of the network in tables and messages.
            task: row of the system's table that describes the network, if there is one.
            system: name of the system.
        """
        self.name = name
        self.task = task
        self.system = system
        self.engine = engine
        self.facts = engine.facts
        self.options = options
        self._runner = Runner(engine, precision, tile=options.tile, overlap=options.tile_overlap)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle everything as one piece of bytes.

        When an object goes to a worker, torch would otherwise give a file descriptor to each tensor, of which a process
        has too few for a large network.
        """
        return _unpickled, (type(self), pickle.dumps(vars(self)))

    @property
    def members(self) -> tuple["Restorer", ...]:
        """The restorers that work one after the other: this one alone, except in a chain."""
        return (self,)

    @property
    def scale(self) -> int:
        """Side of the output divided by the side of the input."""
        return self.facts.scale

    @property
    def has_mask(self) -> bool:
        """True if the network fills missing regions and therefore needs a mask with every photo."""
        return self.facts.has_mask

    @property
    def device(self) -> torch.device:
        """The device in use; it becomes the CPU if another device has too little memory even for the smallest tile."""
        return self.engine.device

    @property
    def last_tile(self) -> int | None:
        """Side of the tiles of the latest photo, in pixels of lq; None if it was restored whole."""
        return self._runner.last_tile

    @property
    def draws_at_random(self) -> bool:
        """True if results depend on the seed."""
        return bool(self.engine.seed_meaning)

    def with_seed(self: _RestorerT, seed: int) -> _RestorerT:
        """A restorer with the same network, which is shared and not copied, and with the same options but this seed."""
        other = type(self).__new__(type(self))  # copy.copy would pickle the network
        vars(other).update(vars(self))
        other.options = replace(self.options, seed=seed)
        return other

    def steps(
        self, prior: Tensor | None, on_progress: OnProgress | None
    ) -> Iterator[tuple["Restorer", Tensor | None, OnProgress | None]]:
        """Yield each member with the prior and the callback for progress that it shall be called with."""
        yield self, prior, on_progress

    def in_use(self) -> dict[str, Any]:
        """All options, shared and the system's, with the values that take effect now; "auto" is resolved."""
        precision = self._runner.precision
        shared = {name: value for name, value in asdict(self.options).items() if value is not None}
        resolved = {"device": str(self.engine.device), "precision": precision}
        return shared | resolved | self.engine.in_use(precision)

    def take_notes(self) -> list[str]:
        """Take the messages about necessary changes since the last call, such as smaller tiles or more precision."""
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
            image: H x W x 3 RGB, or grey as H x W x 1 or H x W (the network then gets three equal channels, and its
                three output channels are averaged); uint8, uint16, or float with white at 1. Floats outside [0, 1]
                are passed to the network unclipped, because benchmarks add noise that leaves this range.
            mask: H x W, above 0 where pixels are missing; for inpainting networks only, and required there.
            prior: (1, P), used instead of the estimated one.
            on_progress: called several times with the fraction of the work that is done, above 0 and up to 1.
        Returns:
            scale*H x scale*W x C of the same type; floats in [0, 1], integers rounded.
        Raises:
            UsageError: a mask is missing or not allowed, or the prior has the wrong shape.
            ImageError: the array is not such an image, or the mask has another size.
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
        """Restore photos of one shape and data type together; each result equals that of the photo alone.

        Args:
            images: photos as ``restore`` takes them, all of one shape and data type.
            masks: one for each photo, as for ``restore``.
            prior: (B, P), or (1, P) for all photos.
            on_progress: as for ``restore``.
        """
        if self.options.seamless:
            wrapped_masks = None if masks is None else [_wrapped(mask) for mask in masks]
            wrapped = [_wrapped(image) for image in images]
            margin = _SEAMLESS_MARGIN * self.scale
            results = self._restore_arrays(wrapped, wrapped_masks, prior, on_progress)
            return [np.ascontiguousarray(array[margin:-margin, margin:-margin]) for array in results]
        return self._restore_arrays(images, masks, prior, on_progress)

    def _restore_arrays(
        self,
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray] | None,
        prior: Tensor | None,
        on_progress: OnProgress | None,
    ) -> list[np.ndarray]:
        source = self._source(images, masks)
        first = images[0]
        if self.options.strength == 0 and self.scale == 1:
            return [image.copy() for image in images]
        output = OutputImages.like(source, self.scale, first.dtype, clips=True)
        self._restore_source(source, prior, output, on_progress)
        return [array[:, :, 0] if first.ndim == 2 else array for array in output.images]

    def restore_tensor(self, lq: Tensor, mask: Tensor | None = None, *, prior: Tensor | None = None) -> Tensor:
        """Restore a batch of photos of one size, given as tensor.

        Args:
            lq: (B, 3, H, W) float32, RGB, nominally in [0, 1]; any size, on any device.
            mask: (B, 1, H, W), 1 = missing, 0 = known; for inpainting networks only, and required there.
            prior: (B, P), or (1, P) for all photos; estimated if not given.
        Returns:
            (B, 3, scale*H, scale*W) float32 on the device of ``lq``, not clamped. Inpainting networks keep the known
            pixels: mask * restored + (1 - mask) * lq.
        """
        source = self._tensor_source(lq, mask)
        output = OutputImages.like(source, self.scale, np.dtype(np.float32), clips=False)
        self._restore_source(source, prior, output, None)
        return rearrange(torch.from_numpy(output.images), "b h w c -> b c h w").to(lq.device)

    @torch.inference_mode()
    def estimate_prior(self, lq: Tensor, mask: Tensor | None = None) -> Tensor:
        """Estimate the priors (B, P) of photos, on the restorer's device; arguments as for ``restore_tensor``."""
        return self._runner.estimate_prior(self._tensor_source(lq, mask), self.options.seed)

    @torch.inference_mode()
    def estimate_prior_of(self, image: np.ndarray, mask: np.ndarray | None = None) -> Tensor:
        """Estimate the prior (1, P) of a photo and return it on the CPU; arguments as for ``restore``."""
        return self._runner.estimate_prior(self.source_of(image, mask), self.options.seed).cpu()

    def source_of(self, image: np.ndarray, mask: np.ndarray | None = None) -> Source:
        """Check a photo and wrap it in the form that the engine reads; arguments as for ``restore``."""
        return self._source([image], None if mask is None else [mask])

    def _source(self, images: Sequence[np.ndarray], masks: Sequence[np.ndarray] | None) -> Source:
        # Every photo and every mask must have one size.
        for number, image in enumerate(images):
            check_image(image)
            if image.shape != images[0].shape or image.dtype != images[0].dtype:
                raise UsageError("photos of a batch must have the same shape and data type")
            if masks is not None and masks[number].shape != image.shape[:2]:
                raise ImageError(
                    f"the mask is {_size(masks[number])} but the image is {_size(image)}; both must have the same size"
                )

        # Stack them; grey photos get an axis for their channel.
        self._check_mask(masks is not None)
        grow = self.options.mask_grow
        stacked_masks = None if masks is None else _stacked([seam_weights(mask, grow) for mask in masks])
        return Source.whole(_stacked([np.atleast_3d(image) for image in images]), stacked_masks, self.facts)

    def _tensor_source(self, lq: Tensor, mask: Tensor | None) -> Source:
        self._check_mask(mask is not None)
        images = rearrange(lq.float().cpu(), "b c h w -> b h w c").numpy()
        if mask is None:
            return Source.whole(images, None, self.facts)
        grow = self.options.mask_grow
        weights = _stacked([seam_weights(one, grow) for one in mask[:, 0].cpu().numpy()])
        return Source.whole(images, weights, self.facts)

    def _check_mask(self, is_given: bool) -> None:
        if self.has_mask and not is_given:
            raise UsageError(f"{self.name} fills holes: it needs a mask, above 0 where pixels are missing")
        if is_given and not self.has_mask:
            raise UsageError(f"{self.name} takes no mask; masks are for inpainting networks")

    @torch.inference_mode()
    def _restore_source(
        self, source: Source, prior: Tensor | None, output: OutputImages, on_progress: OnProgress | None
    ) -> None:
        if prior is not None:
            self.engine.check_prior(prior, source.batch, self.name)
        finish = Finish(source, output, self.facts, self.options.strength)
        # Strength 0 needs no network at all.
        if self.options.strength == 0:
            write_input(source, output, self.scale)
        elif self.facts.tone_side:
            self._restore_tone(source, finish, prior, on_progress)
        # The mean of an ensemble exists only as a whole; it is finished strip by strip to save memory.
        elif self.options.tta:
            mean = self._ensemble(source, prior, on_progress)
            for strip in split_rows(mean.shape[1], _ROWS * self.scale, 0):
                rows = torch.from_numpy(mean[:, strip.top : strip.bottom])
                finish(strip.top, rearrange(rows, "b h w c -> b c h w"))
        else:
            self._run(source, finish, prior, on_progress)

    def _restore_tone(self, source: Source, write: Write, prior: Tensor | None, on_progress: OnProgress | None) -> None:
        """Restore a small copy of the photos, and carry its change of tone over to them."""
        # The copy is no larger than the photos, and has the prior of the photos.
        prior = self._prior_of_whole(source, prior)
        photos = source.without_mask()
        share = min(self.facts.tone_side / max(photos.height, photos.width), 1)
        copy = shrunk(photos, *(max(round(share * side), 1) for side in (photos.height, photos.width)))
        small = Source.whole(rearrange(copy, "b c h w -> b h w c").numpy(), None, self.facts)

        # Restore it.
        if self.options.tta:
            restored = self._ensemble(small, prior, on_progress)
        else:
            output = OutputImages.like(small, 1, np.dtype(np.float32), clips=False)
            self._run(small, output.write, prior, on_progress)
            restored = output.images

        # Change the photos strip by strip.
        change = ToneChange.between(copy, rearrange(torch.from_numpy(restored), "b h w c -> b c h w"))
        for strip in split_rows(photos.height, _ROWS, 0):
            write(strip.top, change.applied(photos.rows(strip.top, strip.bottom), strip.top, photos.height))

    def _run(self, source: Source, write: Write, prior: Tensor | None, on_progress: OnProgress | None) -> None:
        """Restore whole photos with the margin that the network wants, and write their rows without it."""
        if not self.facts.margin:
            self._runner.restore(source, write, seed=self.options.seed, prior=prior, on_progress=on_progress)
            return
        margin = self.scale * self.facts.margin
        end = margin + self.scale * source.images.shape[1]

        def write_inner(top: int, rows: Tensor) -> None:
            inner = rows[..., max(margin - top, 0) : max(end - top, 0), margin:]
            if inner.shape[-2]:
                write(max(top - margin, 0), inner)

        prior, wide = self._prior_of_whole(source, prior), source.with_margin(self.facts)
        self._runner.restore(wide, write_inner, seed=self.options.seed, prior=prior, on_progress=on_progress)

    def _prior_of_whole(self, source: Source, prior: Tensor | None) -> Tensor | None:
        """The given prior, or that of whole photos for networks that look at a thumbnail; None if the engine
        estimates it, or if there is none."""
        if prior is not None or not self.facts.thumbnail or not self.engine.has_prior:
            return prior
        return self._runner.estimate_prior(source, self.options.seed)

    def _ensemble(self, source: Source, prior: Tensor | None, on_progress: OnProgress | None) -> np.ndarray:
        """Average the results of the eight turns, (B, H, W, 3) float32; each has its own prior unless one is given."""
        mean = np.zeros((*(self.scale * side for side in source.images.shape[1:3]), 3), np.float32)[None]
        mean = np.repeat(mean, source.batch, axis=0)
        for number, (quarter_turns, mirrored) in enumerate(_TURNS):
            # Restore the photo turned.
            turned = source.turned(quarter_turns, mirrored)
            output = OutputImages.like(turned, self.scale, np.dtype(np.float32), clips=False, channels=3)

            def report(share: float, done: int = number) -> None:
                if on_progress is not None:
                    on_progress((done + share) / len(_TURNS))

            self._run(turned, output.write, prior, report)

            # Add its share to the mean.
            np.divide(output.images, len(_TURNS), out=output.images)
            mean += turn_back(output.images, quarter_turns, mirrored)
        return mean


def _unpickled(kind: type[Restorer], content: bytes) -> Restorer:
    """Make a restorer from what ``Restorer.__reduce__`` has pickled."""
    restorer = kind.__new__(kind)
    vars(restorer).update(pickle.loads(content))
    return restorer


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays along a new first axis; a single array is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _wrapped(array: np.ndarray) -> np.ndarray:
    """An array H x W (x C) with a margin on each side that continues it from the opposite side."""
    margins = [(_SEAMLESS_MARGIN, _SEAMLESS_MARGIN)] * 2 + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, margins, mode="wrap") if array.size else array


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
