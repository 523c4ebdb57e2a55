"""Runs of two stages: what they write, how they are resumed, and which changes of the options they refuse."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from diffir.api import load_config, load_network
from diffir.config import RunConfig
from diffir.errors import ConfigError, TrainingError
from diffir.training.checkpoint import Checkpoints
from diffir.weights.published import read_published
from tests.diffir_objects import run_of

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = REPOSITORY / "options/debug/tiny.yml"
SHORT = (
    "train.total_iter=4",
    "stage2.total_iter=6",
    "stage2.encoder_iter=2",
    "train.warmup_iter=2",
    "datasets.train.gt_size=32",
    "datasets.val.gt_size=32",
    "logger.save_checkpoint_freq=1",
    "logger.print_freq=2",
    "val.save_images=1",
    "licence=CC0",
    "training_data=four photos",
)
# The command line in a process that kills itself when the state of step 7 of stage 2 is written.
DIES_BEHIND_STEP_7 = """
import os, signal, sys
from diffir.cli.main import main
from diffir.training.checkpoint import Checkpoints
save = Checkpoints.save
def save_and_die(states, stage, step, state):
    path = save(states, stage, step, state)
    if (stage, step) == (2, 7):
        os.kill(os.getpid(), signal.SIGKILL)
    return path
Checkpoints.save = save_and_die
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def options(folder: Path, *overrides: str) -> RunConfig:
    return load_config(TINY, (*SHORT, f"path.experiments_root={folder}", *overrides))


def same_weights(one: Path, other: Path) -> bool:
    first, second = read_published(one)[0], read_published(other)[0]
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Return the stage-2 weights of a short run that was never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        return run_of(options(tmp_path_factory.mktemp("whole"))).start(auto_resume=False)


@pytest.fixture(scope="module")
def finished_stage_one(tmp_path_factory) -> Path:
    """Return the folder of runs in which one has trained stage 1."""
    folder = tmp_path_factory.mktemp("stage one")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        run_of(options(folder, "stages=[1]")).start(auto_resume=False)
    return folder


@pytest.fixture
def stage_one(finished_stage_one, tmp_path) -> Path:
    """Return the stage-1 weights of a run in ``tmp_path`` that has trained stage 1."""
    return shutil.copytree(finished_stage_one, tmp_path, dirs_exist_ok=True) / "tiny/models/tiny_stage1.safetensors"


def test_a_run_ends_in_weights_that_load_and_say_what_they_are(whole):
    network, card = load_network(whole, restores=True)

    assert (card.part, card.task, card.licence, card.data) == ("diffusion", "denoise_tiny", "CC0", "four photos")
    assert network.settings.dim == 8


def test_stage_two_goes_on_from_stage_two_weights(whole, tmp_path):
    teacher = whole.with_name("tiny_stage1.safetensors")
    go_on = ("name=second", "stages=[2]", "stage2.optim_g.lr=1e-9", "stage2.encoder_iter=0", "stage2.ema_decay=0")
    starts = (f"path.pretrain_network_g={teacher}", f"path.pretrain_network_s2={whole}")

    second = run_of(options(tmp_path, *go_on, *starts)).start(auto_resume=False)

    (before, _), (after, card) = read_published(whole), read_published(second)
    assert card.training["start"] == {"pretrain_network_g": teacher.stem, "pretrain_network_s2": whole.stem}
    assert all(torch.allclose(before[name].float(), after[name].float(), atol=1e-4) for name in before)


def test_stage_two_weights_are_continued_without_stage_one_where_no_prior_is_learnt(whole, tmp_path):
    go_on = ("name=second", "stages=[2]", "stage2.encoder_iter=0", f"path.start={{diffusion: {whole}}}")

    second = run_of(options(tmp_path, *go_on, "stage2.prior_weight=0")).start(auto_resume=False)

    assert not same_weights(whole, second)
    records = records_of(tmp_path / "second")
    assert {"psnr", "input_psnr"} <= records[0].keys() and not {"oracle_psnr", "l_abs"} & set().union(*records)
    with pytest.raises(ConfigError, match="stage-1 weights are needed"):
        run_of(options(tmp_path, *go_on, "name=third")).start(auto_resume=False)


def records_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "train_log.jsonl").read_text("utf-8").splitlines()]


def test_a_run_leaves_its_options_its_log_and_pictures(whole):
    run = whole.parents[1]

    assert load_config(run / "options.yml") == options(run.parent)
    assert {(record["stage"], record["event"]) for record in records_of(run)} >= {(1, "train"), (2, "validation")}
    assert list((run / "visualization").rglob("*.png"))


def test_stage_two_is_validated_from_its_start_with_both_priors(whole):
    scores = [r for r in records_of(whole.parents[1]) if (r["stage"], r["event"]) == (2, "validation")]

    assert [record["step"] for record in scores] == [0, 6]
    assert scores[0]["input_psnr"] > 15
    assert all(r["prior_gap"] == pytest.approx(r["oracle_psnr"] - r["psnr"]) for r in scores)


def test_stage_one_alone_then_stage_two_alone_equals_both_in_one_command(whole, stage_one, tmp_path):
    apart = run_of(options(tmp_path, "stages=[2]")).start(auto_resume=True)

    assert same_weights(whole, apart)


@pytest.mark.parametrize("stage, stop", [(1, 2), (2, 1), (2, 2), (2, 5)])
def test_a_stopped_run_resumes_bit_for_bit(whole, tmp_path, monkeypatch, stage, stop):
    def stop_after_saving(checkpoints, number, step, state, save=Checkpoints.save):
        save(checkpoints, number, step, state)
        if (number, step) == (stage, stop):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", stop_after_saving)
        run_of(options(tmp_path / "stopped")).start(auto_resume=False)
    resumed = run_of(options(tmp_path / "stopped")).start(auto_resume=True)

    assert same_weights(whole, resumed)


def test_a_damaged_state_costs_a_few_steps_and_nothing_else(whole, tmp_path, caplog):
    run = shutil.copytree(whole.parents[1], tmp_path / "tiny")
    (run / "models/tiny_stage2.safetensors").unlink()
    newest = run / "training_states/stage2_00000006.state"
    newest.write_bytes(newest.read_bytes()[:-100])

    again = run_of(options(tmp_path)).start(auto_resume=True)

    assert "stage2_00000006.state is damaged" in caplog.text
    assert same_weights(whole, again)


@pytest.mark.slow
def test_two_processes_train_the_weights_that_one_trains(tmp_path):
    # The learning rate is small: Adam makes a whole step of a gradient that differs from zero by rounding only.
    small_steps = ["train.optim_g.lr=5e-5", "train.accum_iter=2", "stage2.encoder_iter=3"]
    rates = ("stage2.optim_g.lr=5e-5", *small_steps)
    run_of(options(tmp_path / "one", *rates, "datasets.train.batch_size_per_gpu=4")).start(auto_resume=False)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "diffir"]
    apart = [*SHORT, *rates, "datasets.train.batch_size_per_gpu=2", f"path.experiments_root={tmp_path}/two"]
    subprocess.run([*torchrun, "train", "-opt", str(TINY), *apart], check=True, capture_output=True)

    for stage in (1, 2):
        one, two = (Checkpoints(tmp_path / n / "tiny/training_states", 1).load_latest(stage) for n in ("one", "two"))
        for name, tensor in one["params"].items():
            assert torch.allclose(tensor, two["params"][name], rtol=0, atol=1e-6), name


@pytest.mark.slow
def test_a_run_killed_without_warning_resumes_bit_for_bit(tmp_path):
    words = ["train", "-opt", str(TINY), *SHORT[3:], "train.total_iter=10", "stage2.total_iter=20"]
    words += ["stage2.encoder_iter=5", "val.val_freq=0"]

    def train(folder: str, *flags: str, program: tuple[str, ...] = ("-m", "diffir")) -> int:
        command = [sys.executable, *program, *words, f"path.experiments_root={tmp_path / folder}", *flags]
        return subprocess.run(command, capture_output=True).returncode

    codes = train("whole"), train("killed", program=("-c", DIES_BEHIND_STEP_7)), train("killed", "--auto_resume")

    assert codes == (0, -signal.SIGKILL, 0)
    name = "tiny/models/tiny_stage2.safetensors"
    assert same_weights(tmp_path / "whole" / name, tmp_path / "killed" / name)


def test_a_finished_or_running_folder_is_not_overwritten(stage_one, tmp_path):
    before = stage_one.read_bytes()

    with pytest.raises(TrainingError, match="--auto_resume"):
        run_of(options(tmp_path, "stages=[1]", "manual_seed=5")).start(auto_resume=False)
    assert stage_one.read_bytes() == before


@pytest.mark.usefixtures("stage_one")
def test_a_run_does_not_go_on_with_other_settings(tmp_path):
    with pytest.raises(
        TrainingError, match=r"started with other settings: manual_seed \(was 0\), network_g\.settings\.dim"
    ):
        run_of(options(tmp_path, "manual_seed=5", "network_g.settings.dim=16")).start(auto_resume=True)
    assert load_config(tmp_path / "tiny/options.yml").manual_seed == 0


def test_a_run_does_not_go_on_with_an_edited_recipe(tmp_path):
    recipe = tmp_path / "noise.yml"
    recipe.write_text("steps: [{type: gaussian_noise, sigma: [10, 30]}]", "utf-8")
    damaged_by_it = f"datasets.train.degradation=[{{type: recipe, name: {recipe}}}]"
    run_of(options(tmp_path, "stages=[1]", damaged_by_it)).start(auto_resume=False)

    recipe.write_text("steps: [{type: gaussian_noise, sigma: [70, 70]}]", "utf-8")

    with pytest.raises(TrainingError, match="started with other photos, another degradation"):
        run_of(options(tmp_path, damaged_by_it)).start(auto_resume=True)


def test_where_validation_decides_it_may_not_change(tmp_path):
    best = ("train.publish=best", "stage2.publish=best")
    run_of(options(tmp_path, "stages=[1]", *best)).start(auto_resume=False)

    with pytest.raises(TrainingError, match=r"val\.metrics \(was \('psnr', 'ssim'\)\)"):
        run_of(options(tmp_path, *best, "val.metrics=[ssim]")).start(auto_resume=True)


@pytest.mark.usefixtures("stage_one")
def test_stage_two_may_be_planned_anew_until_it_begins(tmp_path):
    weights = run_of(options(tmp_path, "stage2.total_iter=3")).start(auto_resume=True)

    assert weights.is_file()
    with pytest.raises(TrainingError, match=r"stages\.diffusion\.total_iter \(was 3\)"):
        run_of(options(tmp_path, "stage2.total_iter=5")).start(auto_resume=True)


def test_a_run_stopped_between_its_last_step_and_its_weights_still_has_scores(stage_one, tmp_path):
    before = read_published(stage_one)[1].scores
    stage_one.unlink()

    again = run_of(options(tmp_path, "stages=[1]")).start(auto_resume=True)

    assert before and read_published(again)[1].scores == before


def test_the_header_of_the_weights_tells_the_recipe_and_nothing_of_the_machine(finished_stage_one):
    card = read_published(finished_stage_one / "tiny/models/tiny_stage1.safetensors")[1]

    assert card.training["prior"]["total_iter"] == 4
    assert not {"diffusion", "gan"} & card.training.keys()  # which did not run
    assert "start" not in card.training
    assert "gan" not in card.training["prior"] and card.training["prior"]["compile"] is False
    assert card.scores[0].condition == "32 x 32 cuts, gaussian_noise sigma [25, 25]"
    assert str(finished_stage_one) not in str(card.to_metadata())


def test_the_header_tells_what_a_recipe_file_says_and_not_where_it_lies(tmp_path):
    (tmp_path / "mine.yml").write_text("steps: [{type: gaussian_noise, sigma: [10, 30]}]", "utf-8")
    mine = f"[{{type: recipe, name: {tmp_path}/mine.yml}}]"
    changes = (f"datasets.train.degradation={mine}", f"datasets.val.degradation={mine}")

    card = read_published(run_of(options(tmp_path, "stages=[1]", *changes)).start(auto_resume=False))[1]

    (step,) = card.training["train_set"]["degradation"]
    assert (step["name"], "sigma=(10.0, 30.0)" in step["steps"]) == ("mine", True)
    assert card.scores[0].condition == "32 x 32 cuts, recipe name mine"
    assert str(tmp_path) not in str(card.to_metadata())


def test_without_validation_photos_the_log_holds_no_empty_scores(tmp_path):
    run_of(options(tmp_path, "stages=[1]", "datasets.val=null")).start(auto_resume=False)

    records = [json.loads(line) for line in (tmp_path / "tiny/train_log.jsonl").read_text("utf-8").splitlines()]
    assert {record["event"] for record in records} == {"train"}


def test_a_recipe_of_another_scale_than_the_network_is_refused(tmp_path):
    enlarged = "datasets.train.degradation=[{type: matlab_bicubic, scale: 2}]"

    with pytest.raises(ConfigError, match="enlarges x1 and takes 3 channels; the training pairs are x2"):
        run_of(options(tmp_path, enlarged)).start(auto_resume=False)


def test_a_start_that_fails_does_not_block_its_folder(tmp_path):
    with pytest.raises(ConfigError, match="stage-1 weights are needed"):
        run_of(options(tmp_path, "stages=[2]")).start(auto_resume=False)

    assert run_of(options(tmp_path, "stages=[1]")).start(auto_resume=False).is_file()


def test_a_loss_that_is_not_finite_stops_the_run_with_advice_and_leaves_no_state_of_it(tmp_path):
    with pytest.raises(TrainingError, match=r"not finite 2 times in a row.*lower train\.optim_g\.lr"):
        run_of(options(tmp_path, "train.optim_g.lr=1e20", "train.max_nonfinite=1")).start(auto_resume=False)

    for state in (tmp_path / "tiny/training_states").glob("*.state"):
        assert all(tensor.isfinite().all() for tensor in torch.load(state, weights_only=True)["params"].values())
