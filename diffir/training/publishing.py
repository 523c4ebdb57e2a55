"""Publish the weights of a finished stage, with a card that describes their training and their scores."""

from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

import torch
import yaml
from torch import Tensor

from diffir.config import RunConfig
from diffir.config_file import dump_config
from diffir.degradations.recipe_file import shipped_recipes
from diffir.degradations.recipes import build_recipe
from diffir.errors import TrainingError
from diffir.metrics.table import METRICS
from diffir.system import NetworkRow, Stage, System
from diffir.training.teacher import described
from diffir.weights.card import Score, WeightsCard
from diffir.weights.published import save_published

# Option keys with paths, which mean nothing on other machines.
_LOCAL = ("dataroot_gt", "dataroot_lq", "dataroot_mask", "meta_info_file")


def publish(
    path: Path,
    weights: Mapping[str, Tensor],
    scores: Mapping[str, float],
    stage: Stage,
    config: RunConfig,
    row: NetworkRow,
    system: System,
) -> None:
    """Write the weights of a stage and their card to ``path``.

    Args:
        scores: validation scores of these weights.
    Raises:
        TrainingError: the weights are not finite.
    """
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        number = config.number(stage.name)
        raise TrainingError(f"stage {number} ends with weights that are not finite: lower train.optim_g.lr")

    # Describe the weights.
    teacher = config.datasets.train.teacher
    card = WeightsCard(
        name=config.name,
        settings=row.settings,
        part=stage.part,
        system=system.name,
        task=row.task,
        summary=row.summary,
        training=_recipe(config, stage.name),
        data=config.training_data,
        scores=tuple(
            Score("validation", name, value, str(row.protocol), _validation_degradation(config))
            for name, value in scores.items()
            if name in METRICS
        ),
        licence=config.licence,
        notes="" if teacher is None else described(teacher, system),
    )

    # Store weights for a later stage exactly, and weights that people download in half precision.
    dtype = torch.float16 if stage.part == system.restoring_part else torch.float32
    save_published(path, weights, card, system, dtype=dtype)


def _recipe(config: RunConfig, last: str) -> dict[str, object]:
    """Collect the options needed to repeat the training up to a stage, without paths of this machine."""
    # The training set and the initial weights, by name instead of path.
    values = yaml.safe_load(dump_config(config))
    train_set = {key: value for key, value in values["datasets"]["train"].items() if key not in _LOCAL}
    train_set["degradation"] = [_readable(step) for step in train_set["degradation"]]
    if train_set["teacher"] is not None:
        train_set["teacher"]["file"] = Path(train_set["teacher"]["file"]).stem
    start = {key: value and Path(value).stem for key, value in values["path"].items() if key.startswith("pretrain_")}
    start |= {part: Path(value).stem for part, value in values["path"]["start"].items()}
    # The stages that have run so far.
    stages = [stage for stage in config.run_stages if config.number(stage) <= config.number(last)]
    sections = {name: values["stages"][name] for name in stages}
    network, seed = values["network_g"], values["manual_seed"]
    facts = {"stages": stages, "start": start, "network_g": network, "manual_seed": seed, **sections}
    return _without_blanks({**facts, "train_set": train_set})


def _without_blanks(values: dict[str, Any]) -> dict[str, Any]:
    """Remove None and empty lists and mappings from a mapping, at every depth."""
    kept = {key: _without_blanks(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in kept.items() if value not in (None, [], {})}


def _readable(step: dict[str, Any]) -> dict[str, Any]:
    """Replace the path of a recipe file by its name and its steps, so that the step can be read without the file."""
    name = step.get("name")
    if step["type"] != "recipe" or name in shipped_recipes():
        return step
    return {**step, "name": Path(str(name)).stem, "steps": pformat(build_recipe([step]).steps)}


def _validation_degradation(config: RunConfig) -> str:
    """Describe in words how the validation photos were cut and degraded."""
    val = config.datasets.val
    if val is None:
        return ""
    steps = (_readable(step) for step in val.degradation or config.datasets.train.degradation)
    words = (
        " ".join(f"{key} {value}" if key != "type" else str(value) for key, value in step.items() if key != "steps")
        for step in steps
    )
    size = "whole photos" if val.gt_size is None else f"{val.gt_size} x {val.gt_size} cuts"
    return ", ".join(filter(None, (size, ", then ".join(words))))
