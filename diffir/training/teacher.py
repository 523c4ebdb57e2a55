"""The teacher of a run: which file it is, the targets that it makes, and how the student's card names it.

In: the section ``datasets.train.teacher`` of an option file. Out: ``TeacherTargets`` in the folder
``EXPERIMENTS_ROOT/teacher_targets/NAME_FINGERPRINT``, which all runs with this teacher share. The teacher is a
network of any system and restores in fp32 on the device of the run.
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import get_worker_info

from diffir.config import RunConfig, TeacherConfig
from diffir.data.taught_patches import Teacher, TeacherTargets
from diffir.inference.options import RestoreOptions
from diffir.inference.restorer import Restorer
from diffir.system import System
from diffir.weights.card import METADATA_KEY, WeightsCard, system_of
from diffir.weights.fingerprint import fingerprint
from diffir.weights.header import is_safetensors, read_header
from diffir.weights.load import load_network, locate

logger = logging.getLogger(__name__)
FOLDER = "teacher_targets"
SHOWN = 12  # digits of the fingerprint in the name of the folder


def teacher_file(teacher: TeacherConfig, system: System) -> Path:
    """Return the file of the teacher's weights; raises UsageError if there is none."""
    return locate(teacher.file, {system.name: system})


def open_targets(
    config: RunConfig, systems: Mapping[str, System], device: torch.device, *, scale: int
) -> TeacherTargets | None:
    """Open the folder of the teacher's outputs; None if the run has no teacher. The network is not loaded yet.

    Raises:
        UsageError: the teacher's file does not exist.
    """
    teacher = config.datasets.train.teacher
    if teacher is None:
        return None
    path = locate(teacher.file, systems)
    folder = Path(config.path.experiments_root) / FOLDER / f"{path.stem}_{fingerprint(path)[:SHOWN]}"
    return TeacherTargets(teacher, folder, partial(open_teacher, path, systems, device), scale=scale)


def open_teacher(path: Path, systems: Mapping[str, System], device: torch.device) -> Teacher:
    """Load a teacher of any of the systems.

    Raises:
        MissingDependency: it is a network of another project, and spandrel is not installed.
        UsageError, WeightsError: the file holds no network that one of the systems knows and that restores.
    """
    logger.info("loading the teacher %s", path)
    # Worker processes cannot use CUDA after a fork; they only load a teacher in the rare case of a missing target.
    device = torch.device("cpu") if get_worker_info() is not None else device
    network, card = load_network(path, systems, restores=True)
    system = system_of(card, systems, str(path))
    options = system.suited_options(system.restore_options(), card.task, card.settings, card.gt_patch)
    engine = system.engine(network, device, "fp32", options)
    return Restorer(engine, "fp32", RestoreOptions(), name=card.name, task=card.task, system=system.name).restore


def described(teacher: TeacherConfig, system: System) -> str:
    """Name the teacher and its licence in one sentence for the card of the student."""
    path = teacher_file(teacher, system)
    licence = teacher.licence or _licence_in(path) or "not stated"
    return f"Learnt from the outputs of {path.stem} (licence: {licence})."


def _is_published(path: Path) -> bool:
    return is_safetensors(path) and METADATA_KEY in read_header(path).metadata


def _licence_in(path: Path) -> str:
    """The licence in the card of published weights; empty for other files."""
    return WeightsCard.from_metadata(read_header(path).metadata, str(path)).licence if _is_published(path) else ""
