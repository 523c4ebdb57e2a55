"""Distillation: a run with a teacher learns from the teacher's outputs, which are made once and kept on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from diffir.api import load, load_config
from diffir.config import RunConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.taught_patches import TaughtPatches, TeacherTargets, pixels_of
from diffir.data.training_set import open_training_set
from diffir.errors import ConfigError, TrainingError, UsageError
from diffir.image_io import read_image
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.system import DIFFIR
from diffir.systems.diffir.tasks import get_task
from diffir.training.dry_run import dry_run, shortened
from diffir.weights.published import read_published
from tests.diffir_objects import card_of, run_of, save_weights
from tests.foreign_networks import compact, dncnn, needs_spandrel

REPOSITORY = Path(__file__).resolve().parents[2]
FEW, SIDE = 5, 32


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """Published weights of a tiny denoiser."""
    torch.manual_seed(0)
    arch = get_task("denoise_tiny").arch
    card = card_of("master", arch, task="denoise_tiny", licence="CC0", training={"train_set": {"gt_size": SIDE}})
    save_weights(tmp_path / "master.safetensors", DiffIR(arch).state_dict(), card, dtype=torch.float32)
    return tmp_path / "master.safetensors"


def options(folder: Path, teacher: Path, *overrides: str) -> RunConfig:
    samples = REPOSITORY / "datasets/samples"
    short = (
        f"path.experiments_root={folder / 'runs'}",
        f"datasets.train.dataroot_gt={samples / 'train'}",
        f"datasets.val.dataroot_gt={samples / 'clean'}",
        f"datasets.train.gt_size={SIDE}",
        f"datasets.val.gt_size={SIDE}",
        f"datasets.train.teacher.file={teacher}",
        f"datasets.train.teacher.patches={FEW}",
        "stages=[1]",
        "train.total_iter=3",
        "train.warmup_iter=0",
    )
    return load_config(REPOSITORY / "options/debug/tiny.yml", (*short, *overrides))


def targets_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("runs/teacher_targets/*/*.png"))


def batches(config: RunConfig, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first samples of stage 1, lq and gt as H x W x 3 uint8."""
    run = run_of(config)
    found = run.samples.batches("prior", 0, run.processes, pin_memory=False)
    pairs = [pair for _, batch in zip(range(count), found, strict=False) for pair in zip(*batch, strict=True)]
    return [(pixels_of(lq), pixels_of(gt)) for lq, gt in pairs]


def test_targets_are_what_the_teacher_makes_of_the_degraded_patches(tmp_path: Path, teacher: Path) -> None:
    still = ("datasets.train.use_hflip=false", "datasets.train.use_rot=false")
    restorer = load(str(teacher), device="cpu", precision="fp32")

    for lq, gt in batches(options(tmp_path, teacher, *still), 1):
        assert np.array_equal(gt, restorer.restore(lq))


def test_half_of_the_samples_keep_the_clean_patch_when_the_teachers_share_is_a_half(
    tmp_path: Path, teacher: Path
) -> None:
    def of_share(share: float) -> list[tuple[np.ndarray, np.ndarray]]:
        return batches(options(tmp_path, teacher, f"datasets.train.teacher.share={share}"), 3)

    taught, mixed, true = of_share(1), of_share(0.5), of_share(0)

    from_teacher = [np.array_equal(gt, its) for (_, gt), (_, its) in zip(mixed, taught, strict=True)]
    from_photo = [np.array_equal(gt, its) for (_, gt), (_, its) in zip(mixed, true, strict=True)]
    assert all(one != other for one, other in zip(from_teacher, from_photo, strict=True))
    assert 3 <= sum(from_teacher) <= 9


def test_a_run_makes_each_target_once_and_a_second_run_finds_them(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = options(tmp_path, teacher, "run_stages=[prior]")
    run_of(config).start(auto_resume=False)
    made = targets_of(tmp_path)
    assert len(made) == FEW + 3  # with those of the three validation photos

    monkeypatch.setattr("diffir.training.teacher.open_teacher", lambda *arguments: pytest.fail("asked again"))
    run_of(replace(config, name="second")).start(auto_resume=False)

    assert targets_of(tmp_path) == made


@pytest.mark.parametrize(
    "change", ["manual_seed=5", "datasets.train.degradation=[{type: gaussian_noise, sigma: [9, 9]}]"]
)
def test_other_patches_or_another_recipe_need_other_targets(tmp_path: Path, teacher: Path, change: str) -> None:
    for overrides in ((), (change,)):
        run = run_of(options(tmp_path, teacher, *overrides))
        run.samples.prepare(run.processes)

    assert len(targets_of(tmp_path)) == 2 * FEW


def test_two_processes_share_the_work(tmp_path: Path, teacher: Path) -> None:
    for rank in (0, 1):
        run = run_of(options(tmp_path, teacher))
        run.samples.prepare(replace(run.processes, rank=rank, size=2))
        assert len(targets_of(tmp_path)) == (3, 5)[rank]


def test_the_student_is_validated_against_its_teacher(tmp_path: Path, teacher: Path) -> None:
    restorer = load(str(teacher), device="cpu", precision="fp32")

    sample = run_of(options(tmp_path, teacher)).samples.validation()[0]

    assert np.array_equal(sample.truth, restorer.restore((sample.lq * 255).round().astype(np.uint8)))


def test_the_card_of_the_student_names_its_teacher_and_the_licence(tmp_path: Path, teacher: Path) -> None:
    weights = run_of(options(tmp_path, teacher)).start(auto_resume=False)

    card = read_published(weights)[1]

    assert card.notes == "Learnt from the outputs of master (licence: CC0)."
    assert card.training["train_set"]["teacher"]["file"] == "master"


def test_a_run_does_not_go_on_with_another_teacher(tmp_path: Path, teacher: Path) -> None:
    run_of(options(tmp_path, teacher)).start(auto_resume=False)
    torch.manual_seed(1)
    other = card_of("master", get_task("denoise_tiny").arch, task="denoise_tiny")
    save_weights(teacher, DiffIR(get_task("denoise_tiny").arch).state_dict(), other, dtype=torch.float32)

    with pytest.raises(TrainingError, match="was started with other photos, another degradation or another teacher"):
        run_of(options(tmp_path, teacher)).start(auto_resume=True)


def test_patches_are_cut_from_the_same_place_in_input_and_target(tmp_path: Path) -> None:
    config = options(tmp_path, tmp_path / "none").datasets.train
    assert config.teacher is not None
    targets = TeacherTargets(config.teacher, tmp_path / "kept", lambda: lambda lq: 255 - lq, scale=1)
    patches = open_training_set(replace(config, teacher=None), seed=(0,))
    taught = TaughtPatches(patches, targets, config, seed=(0, 1), size=SIDE)

    for index in range(8):
        lq, gt = taught[PatchRequest(index, 16)]
        assert lq.shape == (3, 16, 16)
        assert torch.allclose(lq, 1 - gt, atol=1e-6)


@needs_spandrel
def test_a_network_of_another_project_teaches(tmp_path: Path) -> None:
    save_file(dncnn(), tmp_path / "foreign.safetensors")
    still = ("datasets.train.use_hflip=false", "datasets.train.use_rot=false")
    config = options(tmp_path, tmp_path / "foreign.safetensors", *still, "datasets.train.teacher.licence=BSD-3-Clause")

    method = load(tmp_path / "foreign.safetensors", device="cpu")

    assert all(np.array_equal(gt, method.restore(lq)) for lq, gt in batches(config, 1))


def test_a_teacher_of_another_scale_is_refused_before_training(tmp_path: Path) -> None:
    save_file(compact(scale=2), tmp_path / "twice.safetensors")

    with pytest.raises(ConfigError, match="the teacher enlarges x2, the training pairs are x1"):
        run_of(options(tmp_path, tmp_path / "twice.safetensors")).start(auto_resume=False)


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nobody\.safetensors"):
        run_of(options(tmp_path, tmp_path / "nobody.safetensors"))


def test_a_teacher_cannot_be_combined_with_masks(tmp_path: Path, teacher: Path) -> None:
    with pytest.raises(ConfigError, match="teacher and dataroot_mask exclude each other"):
        options(tmp_path, teacher, "datasets.train.dataroot_mask=holes", "datasets.train.degradation=[]")


def test_a_dry_run_says_what_the_targets_cost_and_writes_none(tmp_path: Path, teacher: Path) -> None:
    lines = list(dry_run(options(tmp_path, teacher), DIFFIR))

    assert any(line.startswith("teacher: ") and f"for all {FEW} if none is on disk" in line for line in lines)
    assert not (tmp_path / "runs").exists()


def test_a_shortened_run_makes_few_targets(tmp_path: Path, teacher: Path) -> None:
    config = shortened(options(tmp_path, teacher, "datasets.train.teacher.patches=2000"), DIFFIR)

    assert config.datasets.train.teacher is not None
    assert config.datasets.train.teacher.patches == 16


def test_the_folder_of_targets_shows_them_as_pictures(tmp_path: Path, teacher: Path) -> None:
    run = run_of(options(tmp_path, teacher))
    run.samples.prepare(run.processes)

    assert {read_image(path).pixels.shape for path in targets_of(tmp_path)} == {(SIDE, SIDE, 3)}
