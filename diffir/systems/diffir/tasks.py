"""The task table of DiffIR: one row per restoration task.

A row holds the settings of the network and the protocol of its scores. The official rows have the settings of the
released option files of DiffIR (ICCV 2023); the small rows are ours, designed to run on a laptop CPU and to be part
of the package.
"""

from dataclasses import dataclass, replace
from functools import partial

from diffir.errors import UsageError
from diffir.metrics.protocol import Protocol
from diffir.near_names import meant
from diffir.systems.diffir.settings import ArchSettings


@dataclass(frozen=True)
class Task:
    """One row of the task table."""

    name: str
    summary: str
    """One line of description for ``diffir models``."""
    arch: ArchSettings
    protocol: Protocol
    official: bool = True
    """True if the authors of DiffIR released a checkpoint for this task."""
    patch: int | None = 256
    """Side of the patches that released checkpoints were trained with, in pixels of the ground truth; None for our own
    rows, whose weights state it in their card."""
    needs_whole: bool = False
    """True if statistics of the whole photo are required, because a window does not show the degradation: a window of
    blue sky looks hazy and out of focus (docs/any-size.md)."""


_SR = ArchSettings(
    upsample=4,
    global_skip="nearest",
    dim=64,
    num_blocks=(13, 1, 1, 1),
    num_refinement_blocks=13,
    ffn_expansion=2.2,
    norm="bias_free",
    cpen_blocks=9,
)
_DEBLUR = ArchSettings()
_INPAINT = ArchSettings(
    in_channels=4,
    global_skip="none",
    dim=52,
    num_blocks=(1, 1, 1, 9),
    num_refinement_blocks=0,
    ffn_expansion=1.8,
)
# Our own rows. Computing at half resolution (unshuffle 2) costs a quarter per pixel at the same width, which makes the
# CPU fast enough; FFDNet (Zhang et al., TIP 2018) showed that denoising loses almost no quality by it.
_SMALL = ArchSettings(
    unshuffle=2,
    upsample=2,
    global_skip="identity",
    dim=24,
    num_blocks=(2, 2, 2, 2),
    num_refinement_blocks=2,
    ffn_expansion=2.0,
    cpen_blocks=2,
    prior_width=0,
)
# Measured priors were the same for every photo (docs/what-diffusion-buys.md), except for the veil of rain, and for
# darkness, haze and fading, which are one unknown of the whole photo and which a patch does not show.
_SMALL_PRIOR = replace(_SMALL, prior_width=128)
_SMALL_WHOLE = replace(_SMALL_PRIOR, prior_view="whole")
# A network that enlarges computes at the resolution of lq, so its cost per pixel of the output is low already.
_SMALL_SR = replace(_SMALL, unshuffle=1, upsample=4, global_skip="nearest")
# Holes are filled smoothly instead of with zeros: this alone already exceeds OpenCV's inpainting methods in PSNR.
_SMALL_INPAINT = replace(_SMALL, in_channels=4, hole_fill="membrane")
_TINY = replace(_SMALL_PRIOR, dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, cpen_blocks=1, prior_width=32)

_RGB = Protocol()
_Y = Protocol(test_y_channel=True)
_Y_X2, _Y_X4 = replace(_Y, crop_border=2), replace(_Y, crop_border=4)
_ours = partial(Task, official=False, patch=None)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("sr_x4", "bicubic super-resolution x4", _SR, _Y_X4),
        Task("sr_x2", "bicubic super-resolution x2", replace(_SR, unshuffle=2), _Y_X2),
        Task("realsr_x4", "real-world super-resolution x4", _SR, _Y_X4),
        Task("realsr_x2", "real-world super-resolution x2", replace(_SR, unshuffle=2), _Y_X2),
        Task("realsr_x1", "real-world restoration at the same size", replace(_SR, unshuffle=4), _Y_X4),
        Task("deblur", "motion deblurring", _DEBLUR, _RGB, patch=512),
        Task("inpaint", "inpainting, CelebA-HQ and Places", _INPAINT, _RGB),
        Task(
            "inpaint_big",
            "inpainting, Places-Challenge",
            replace(_INPAINT, num_blocks=(1, 1, 1, 20), cpen_blocks=8),
            _RGB,
        ),
        _ours("denoise_small", "colour Gaussian denoising, blind, for CPUs", _SMALL, _RGB),
        _ours("photo_small", "everyday damage: blur, noise, JPEG, resizing", _SMALL, _RGB, needs_whole=True),
        _ours(
            "enhance_small",
            "dark, backlit, hazy, faded and colour-cast photos, for CPUs",
            replace(_SMALL_WHOLE, tone_side=256),
            _RGB,
            needs_whole=True,
        ),
        _ours(
            "lowlight_small",
            "dark photos, for CPUs",
            replace(_SMALL_WHOLE, prior_width=0, tone_side=256),
            _RGB,
            needs_whole=True,
        ),
        _ours("old_small", "old prints: fading, cracks, dust, grain, for CPUs", _SMALL_WHOLE, _RGB, needs_whole=True),
        _ours("derain_small", "rain, from a drizzle to a downpour, for CPUs", _SMALL_PRIOR, _Y, needs_whole=True),
        _ours("jpeg_small", "JPEG artefacts of any quality, for CPUs", _SMALL, _RGB),
        _ours("deblur_small", "motion and defocus blur, for CPUs", _SMALL, _RGB, needs_whole=True),
        _ours("inpaint_small", "small holes: scratches, text, for CPUs", _SMALL_INPAINT, _RGB),
        _ours("sr_x2_small", "bicubic super-resolution x2, for CPUs", replace(_SMALL_SR, upsample=2), _Y_X2),
        _ours("sr_x4_small", "bicubic super-resolution x4, for CPUs", _SMALL_SR, _Y_X4),
        _ours("realsr_x4_small", "real-world super-resolution x4, for CPUs", _SMALL_SR, _Y_X4),
        _ours("denoise_tiny", "a toy denoiser for tests and first steps", _TINY, _RGB),
    )
}


def get_task(name: str) -> Task:
    """The row of the task table with this name.

    Raises:
        UsageError: there is no such row; the message suggests the nearest name, or lists all.
    """
    if name not in TASKS:
        raise UsageError(f"unknown task {name!r}; {meant(name, TASKS)}")
    return TASKS[name]
