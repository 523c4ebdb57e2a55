"""The engine of latent diffusion: encodes what is given, samples the latent, and decodes it row by row.

In: photos as a ``Region``, and the seed of the noise. Out: rows of the output. Large photos are sampled and decoded in
windows of one plan and with one field of noise, so that the result depends neither on tiles nor on memory. Windows
without holes are not sampled by networks that fill holes, since their latent is that of the photo.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffir.errors import UsageError
from diffir.inference.device import autocast
from diffir.inference.tiling import blend_tiles
from diffir.seeds import generator_for
from diffir.system import OnProgress, Precision, Region, Write, without_prior
from diffir.systems.latent.corrections import back_projected, with_low_frequencies_of, with_mean_of
from diffir.systems.latent.network import Given, LatentDiffusion
from diffir.systems.latent.restore_options import LatentOptions
from diffir.systems.latent.samplers import ddim, dpm_solver
from diffir.systems.latent.schedule import Predicted
from diffir.systems.latent.windows import WindowPlan

OVERLAP = 16  # least overlap of tiles in pixels of lq; the plan of windows makes tiles agree, so few are enough
SHARE_OF_SAMPLING = 0.8  # of the progress; decoding is the rest


class LatentEngine:
    """A latent diffusion network on its device, ready to restore; see ``diffir.system.Engine``."""

    seed_meaning = "seed"
    has_prior = False
    estimate_prior = check_prior = without_prior

    def __init__(self, network: LatentDiffusion, device: torch.device, options: LatentOptions) -> None:
        """
        Raises:
            UsageError: the network needs more than a photo, or an option does not suit the sampler or the network.
        """
        if not network.settings.restores:
            raise UsageError("this network needs label maps or context vectors, so it cannot restore a photo")
        if options.sampler == "dpm" and options.eta:
            raise UsageError("the sampler dpm is deterministic: leave eta out, or take the sampler ddim")
        if options.consistency == "on" and network.settings.scale == 1:
            raise UsageError("consistency is for networks that enlarge; leave it out")
        if options.color_fix != "none" and network.settings.has_mask:
            raise UsageError("color_fix would take the colours of the filled holes; leave it out")
        diffusion = network.settings.diffusion
        self.steps = diffusion.steps if options.steps is None else options.steps
        if self.steps > diffusion.timesteps:
            raise UsageError(f"steps must be at most {diffusion.timesteps}, got {self.steps}")
        self.temperature = diffusion.temperature if options.temperature is None else options.temperature
        self.network = network
        self.device = device
        self.options = options
        self.facts = network.settings.facts
        self.least_overlap = OVERLAP if network.settings.scale > 1 else 2 * OVERLAP

    @property
    def tile_step(self) -> int:
        return self.facts.multiple_of

    @property
    def sampler(self) -> str:
        """The sampler that runs: ``auto`` takes the fast solver unless noise is wanted between the steps."""
        if self.options.sampler != "auto":
            return self.options.sampler
        return "ddim" if self.options.eta else "dpm"

    @property
    def is_consistent(self) -> bool:
        """True if results are corrected by back-projection; by default for networks whose input is clean."""
        automatic = self.options.consistency == "auto" and self.network.settings.clean_input
        return automatic or self.options.consistency == "on"

    @property
    def times(self) -> list[int]:
        """The time steps of sampling; ``dpm`` merges steps that coincide, which happens above about 50."""
        schedule = self.network.schedule
        return schedule.times(self.steps) if self.sampler == "ddim" else schedule.times_by_noise(self.steps)

    @property
    def description(self) -> str:
        temperature = "" if self.temperature == 1 else f", temperature {self.temperature:g}"
        return f"{len(self.times)} steps of {self.sampler}{temperature}"

    def in_use(self, precision: Precision) -> dict[str, Any]:
        """The options that take effect."""
        options = self.options
        return {
            "steps": len(self.times),
            "sampler": self.sampler,
            "eta": options.eta,
            "temperature": self.temperature,
            "guidance": options.guidance,
            "consistency": self.is_consistent,
            "color_fix": options.color_fix,
            "window": options.window,
        }

    def to(self, device: torch.device) -> None:
        self.device = device
        self.network.to(device)

    def largest_tile(self, height: int, width: int, batch: int) -> int | None:
        """None: the networks see one window at a time; the latent, the condition and the result are held whole."""
        return None

    def open(
        self, photos: Region, *, seed: int, prior: Tensor | None, tile: int | None, precision: Precision
    ) -> "LatentSession":
        if prior is not None:
            without_prior(self)
        return LatentSession(self, photos, seed)

    def multiply_adds(self, side: int) -> int:
        from diffir.systems.latent.operation_count import count_multiply_adds  # only tables need it

        passes = len(self.times) * (1 if self.options.guidance == 1 else 2)
        return count_multiply_adds(self.network, side=side, passes=passes)


class LatentSession:
    """One batch of photos while it is restored: its latent is sampled once, then decoded region by region."""

    passes = 1

    def __init__(self, engine: LatentEngine, photos: Region, seed: int) -> None:
        self._engine, self._photos, self._seed = engine, photos, seed
        settings = engine.network.settings
        self._step = settings.latent_step
        self._height, self._width = photos.height // self._step, photos.width // self._step
        self._plan = WindowPlan.of(self._height, self._width, engine.options.window, settings.denoiser.multiple_of)
        self._sampled: dict[Precision, Tensor] = {}
        self._known: dict[tuple[int, int], Tensor] = {}  # latents of windows without holes, by their first position

    def end_first_pass(self) -> None:
        """There is one pass."""

    @torch.no_grad()
    def restore(self, region: Region, write: Write, precision: Precision, on_progress: OnProgress) -> None:
        engine = self._engine
        with autocast(engine.device, precision):
            if precision not in self._sampled:
                self._sampled[precision] = self._sample(lambda share: on_progress(SHARE_OF_SAMPLING * share))
            self._decode(region, self._sampled[precision], write, on_progress)

    def _sample(self, on_progress: Callable[[float], None]) -> Tensor:
        """The latents (B, Z, h, w) of the whole photos, float32 on the CPU."""
        engine, options, network = self._engine, self._engine.options, self._engine.network
        latent = network.settings.autoencoder.latent_channels
        schedule = network.schedule

        # What the denoiser sees of the photos without trained encoders is computed once.
        concat, base = self._given()

        # One prediction of the whole latent, window by window. The noise follows from the clean latent.
        times = engine.times
        done, total = 0, len(times) * self._plan.count

        def predict(noisy: Tensor, time: int) -> Predicted:
            def of_window(rows: slice, columns: slice) -> Tensor:
                nonlocal done
                done += 1
                if self._is_known(rows, columns):
                    on_progress(done / total)
                    return self._known_latent(rows, columns)
                here = Given(concat[..., rows, columns].to(engine.device), None, None)
                here = network.with_context(here, self._lq(rows, columns)) if network.has_encoder else here
                clean = network.predict(noisy[..., rows, columns].to(engine.device), time, here, options.guidance).clean
                on_progress(done / total)
                return clean.float().cpu()

            return schedule.with_noise(self._plan.blend(of_window), noisy, time)

        start = engine.temperature * self._noise(0, latent)
        if engine.sampler == "ddim":
            path = ddim(predict, schedule.alphas, times, start, options.eta, lambda step: self._noise(1 + step, latent))
        else:
            path = dpm_solver(predict, schedule.alphas, times, start)
        return network.from_diffused(deque(path, maxlen=1).pop(), base)

    def _given(self) -> tuple[Tensor, Tensor | None]:
        """The condition (B, C, h, w) and the latent of the input (B, Z, h, w) or None, on the CPU."""
        network = self._engine.network
        channels = network.settings.condition_channels

        def of_window(rows: slice, columns: slice) -> Tensor:
            given = network.given(self._lq(rows, columns))
            parts = [given.concat] if given.base is None else [given.concat, given.base]
            return torch.cat(parts, dim=1).float().cpu()

        blended = self._plan.blend(of_window)
        return blended[:, :channels], blended[:, channels:] if network.settings.diffusion.residual else None

    def _decode(self, region: Region, latents: Tensor, write: Write, on_progress: OnProgress) -> None:
        """Decode the rows of a region, in the windows of the whole photo that it touches."""
        engine, factor = self._engine, self._engine.network.settings.autoencoder.factor
        rows, columns = (
            slice(start // self._step, (start + length) // self._step)
            for start, length in ((region.top, region.height), (region.left, region.width))
        )
        plan = self._plan.touching(rows, columns)
        done = 0

        def of_window(window_rows: slice, window_columns: slice) -> Tensor:
            nonlocal done
            lq = self._lq(window_rows, window_columns)
            if self._is_known(window_rows, window_columns):
                image = lq[:, :3]  # all of it is replaced by the photo
            else:
                decoded = engine.network.autoencoder.decode(latents[..., window_rows, window_columns].to(engine.device))
                image = self._corrected((decoded.float() + 1) / 2, lq)
            done += 1
            on_progress(SHARE_OF_SAMPLING + (1 - SHARE_OF_SAMPLING) * done / plan.count)
            return image.cpu()

        def write_inside(top: int, piece: Tensor) -> None:
            # Cut off what the windows cover beyond the region.
            above = max(0, factor * rows.start - top)
            inside = piece[..., above : max(above, factor * rows.stop - top), factor * columns.start :]
            inside = inside[..., : factor * (columns.stop - columns.start)]
            if inside.shape[2]:
                write(top + above - factor * rows.start, inside)

        blend_tiles(of_window, plan.rows, plan.columns, factor, write_inside)

    def _corrected(self, images: Tensor, lq: Tensor) -> Tensor:
        """Apply the corrections that the options ask for to decoded images (B, 3, H, W) in [0, 1]."""
        engine = self._engine
        if engine.options.color_fix != "none":
            fix = with_mean_of if engine.options.color_fix == "mean" else with_low_frequencies_of
            images = fix(images, engine.network.enlarged(lq))
        return back_projected(images, lq[:, :3], engine.facts.scale) if engine.is_consistent else images

    def _is_known(self, rows: slice, columns: slice) -> bool:
        """Return whether no pixel of a window is to be filled."""
        return self._engine.network.settings.has_mask and not self._lq(rows, columns)[:, 3:].any()

    def _known_latent(self, rows: slice, columns: slice) -> Tensor:
        """The diffused form of the photo's latent (B, Z, h, w) in a window without holes, on the CPU."""
        network, place = self._engine.network, (rows.start, columns.start)
        if place not in self._known:
            latent = network.latent_of_input(self._lq(rows, columns))
            base = latent if network.settings.diffusion.residual else None
            self._known[place] = network.to_diffused(latent, Given(latent, base, None)).cpu()
        return self._known[place]

    def _lq(self, rows: slice, columns: slice) -> Tensor:
        """Low-quality images (B, C, h, w) of a window of the latent, on the device."""
        step = self._step
        piece = self._photos.rows(step * rows.start, step * rows.stop)
        return piece[..., step * columns.start : step * columns.stop].to(self._engine.device)

    def _noise(self, number: int, channels: int) -> Tensor:
        """Standard normal noise (1, Z, h, w) on the CPU, the same for all photos of a batch; a field per ``number``."""
        generator = generator_for(self._seed, number)
        noise = torch.randn(1, channels, self._height, self._width, generator=generator)
        return noise.expand(self._photos.batch, -1, -1, -1)
