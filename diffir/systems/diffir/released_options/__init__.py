"""Translate option files of the DiffIR authors, in BasicSR's layout, into the keys of this package.

In: the mapping of a YAML file with the key ``model_type``. Out: the mapping that a ``RunConfig`` of one stage is built
from. Keys without a meaning here are listed in one warning; an option that cannot be translated is an error. Sources:
the released option files and the code that reads them.
"""

import logging
from copy import deepcopy
from typing import Any

from diffir.errors import ConfigError
from diffir.metrics.table import METRICS
from diffir.systems.diffir.released_options.photos import photo_sets, take_second_order, targets
from diffir.systems.diffir.released_options.take import Section, ignored, kept, only, section, take
from diffir.systems.diffir.released_options.train_section import training
from diffir.systems.diffir.tasks import TASKS

logger = logging.getLogger(__name__)

_STAGES = {"DiffIRS1": 1, "DiffIRS2": 2, "DiffIRGANS2": 3}
_NETWORK_KEYS = {
    "out_channels": "out_channels",
    "dim": "dim",
    "num_blocks": "num_blocks",
    "num_refinement_blocks": "num_refinement_blocks",
    "heads": "heads",
    "ffn_expansion_factor": "ffn_expansion",
    "n_encoder_res": "cpen_blocks",
    "n_denoise_res": "denoiser_blocks",
    "timesteps": "num_timesteps",
    "linear_start": "linear_start",
    "linear_end": "linear_end",
}
_NETWORK_DEFAULTS = {"n_encoder_res": 6, "ffn_expansion_factor": 2.66}  # of upstream, if a file does not set them


def is_official(values: Section) -> bool:
    """Check if an option file is in the layout of the DiffIR authors."""
    return "model_type" in values


def to_our_options(values: Section) -> Section:
    """Translate a file into our keys; ``values`` is not changed.

    Raises:
        ConfigError: a model, a loss, a schedule or a degradation cannot be translated.
    """
    # Translate network and data sets. Every key that is understood is removed from ``left``.
    left = deepcopy(values)
    stage = _stage(take(left, "model_type"))
    is_second_order = take_second_order(left)
    network = _network(left, is_second_order)
    datasets, patches = photo_sets(left, network["task"], is_second_order)

    # Sharpened targets: low-quality images are made from sharpened ones, too.
    sharpened = targets(left)
    if sharpened and "dataroot_lq" not in datasets["train"]:
        datasets["train"]["degradation"].insert(0, {"type": "usm_sharpen"})

    # Translate the other sections.
    ours = {
        **{key: left.pop(key) for key in ("name", "manual_seed") if left.get(key) is not None},
        "network_g": network,
        "stages": [stage],
        "datasets": datasets,
        "train": {**patches, **sharpened, **training(left, stage, network["task"])},
        "val": _val(section(left, "val")),
        "logger": kept(section(left, "logger"), "print_freq", "save_checkpoint_freq", "use_tb_logger"),
    }
    ours["path"] = _path(left, stage, ours["train"])

    # Warn of the keys that are left.
    unused = list(ignored(left, values))
    if unused:
        logger.warning("option file of DiffIR, ignored: %s", ", ".join(unused))
    return ours


def _stage(model_type: Any) -> int:
    name = str(model_type).removesuffix("Model")
    if name not in _STAGES:
        raise ConfigError(
            f"model_type {model_type!r} is not one of DiffIR; known: {', '.join(_STAGES)}, each with Model"
        )
    return _STAGES[name]


def _network(left: Section, is_second_order: bool) -> Section:
    given = section(left, "network_g")
    take(given, "type")
    scale, overall = take(given, "scale"), take(left, "scale", 1)
    task = _task(take(given, "LayerNorm_type"), scale or overall, is_second_order)
    row = TASKS[task].arch
    channels = take(given, "inp_channels", row.in_channels)
    if channels not in (row.in_channels, row.in_channels * row.unshuffle**2):
        raise ConfigError(
            f"network_g.inp_channels {channels} does not fit {task}; for inpainting see options/inpaint_places"
        )
    only(given, "network_g", "bias", False)
    found = _NETWORK_DEFAULTS | kept(given, *_NETWORK_KEYS)
    settings = {_NETWORK_KEYS[key]: value for key, value in found.items()}
    usual = row.to_dict()
    return {"task": task, "settings": {key: value for key, value in settings.items() if value != usual[key]}}


def _task(norm: Any, scale: Any, is_second_order: bool) -> str:
    """Find the row of the table: only motion deblurring has norms with bias, only real-world tasks a degradation."""
    if norm not in (None, "WithBias", "BiasFree"):
        raise ConfigError(f"network_g.LayerNorm_type must be WithBias or BiasFree, got {norm!r}")
    is_deblur = norm == "WithBias" or (norm is None and scale == 1 and not is_second_order)
    task = "deblur" if is_deblur else f"{'realsr' if is_second_order or scale == 1 else 'sr'}_x{scale}"
    if task not in TASKS:
        raise ConfigError(f"scale must be 1, 2 or 4, got {scale!r}")
    return task


def _val(given: Section) -> Section:
    ours = kept(given, "val_freq")
    metrics = section(given, "metrics")
    names = {label: str(section(metrics, label).get("type", label)).removeprefix("calculate_") for label in metrics}
    for label in [label for label, name in names.items() if name in METRICS]:
        take(section(metrics, label), "type")
        ours.setdefault("metrics", []).append(names[label])
    if not take(given, "save_img", True):
        ours["save_images"] = 0
    return ours


def _path(left: Section, stage: int, train: Section) -> Section:
    """Translate the weights that a run starts from; ``train`` is our section, which receives the discriminator's."""
    given = section(left, "path")
    if take(given, "resume_state") is not None:
        raise ConfigError(
            "path.resume_state: states of upstream cannot be resumed; remove it and name its weights instead"
        )
    start, teacher = take(given, "pretrain_network_g"), take(given, "pretrain_network_S1")
    discriminator = take(given, "pretrain_network_d")
    if discriminator is not None and "gan" in train:
        train["gan"]["pretrain_network_d"] = discriminator

    # Upstream has a key of its own for the teacher; here pretrain_network_g is always stage 1.
    ours: Section
    if stage == 1:
        ours = {"pretrain_network_g": start, "strict_load_g": take(given, "strict_load_g")}
    elif stage == 2 and teacher is None:
        ours = {"pretrain_network_g": start}
    else:  # a start other than the teacher holds stage-2 weights
        ours = {"pretrain_network_g": teacher, "pretrain_network_s2": start if start != teacher else None}
    return {key: value for key, value in ours.items() if value is not None}
