"""The training loop: the effect of every training option, skipped steps, collapses, processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from diffir.api import load_config
from diffir.config import OptimConfig, RunConfig, SchedulerConfig, TrainConfig
from diffir.errors import TrainingError
from diffir.system import Pair, Phase
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.stages import StageOne, StageTwo
from diffir.systems.diffir.tasks import get_task
from diffir.systems.diffir.training_options import DiffIRTraining
from diffir.training.early_stopping import EarlyStopping
from diffir.training.optim import learning_rate
from diffir.training.processes import Processes
from diffir.training.trainer import Trainer
from tests.diffir_objects import run_of

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = get_task("denoise_tiny").arch
GT = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LQ = GT + 0.1


def trainer_of(stage, config) -> Trainer:
    early_stopping = EarlyStopping.from_config(config, higher_is_better=True)
    return Trainer(stage, config, early_stopping, number=1, device=torch.device("cpu"), seed=0)


def batches(config: RunConfig, processes: Processes) -> Iterator[Pair]:
    """Yield all batches of the first stage of a run."""
    return run_of(config, processes).samples.batches("prior", 0, processes, pin_memory=False)


def learn(run: Trainer, *parts: Pair) -> dict[str, torch.Tensor]:
    terms = run._learn(list(parts) or [Pair(LQ, GT)], Path())
    run.step += 1
    return terms


def trainer(**train) -> Trainer:
    config = TrainConfig(total_iter=10, optim_g=OptimConfig(lr=1e-2), **train)
    torch.manual_seed(0)
    return trainer_of(StageOne(TINY, config), config)


@contextmanager
def watched(module: torch.nn.Module):
    """Collect the outputs of a module while the block runs."""
    outputs: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    yield outputs
    handle.remove()


def weight(network: DiffIR) -> torch.Tensor:
    return network.dirformer.patch_embed.weight.detach()


def test_the_published_network_is_the_moving_average_of_the_weights():
    run = trainer(ema_decay=0.5)
    expected = weight(run.network).clone()

    for step in range(3):
        learn(run)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight(run.network)

    assert torch.allclose(run.published["dirformer.patch_embed.weight"], expected, atol=1e-6)
    assert not torch.equal(weight(run.current), weight(run.network))


def test_without_a_moving_average_the_network_itself_is_published():
    run = trainer(ema_decay=0.0)

    assert run.current is run.network


def test_bf16_runs_the_network_under_autocast_and_keeps_losses_in_fp32():
    run = trainer(precision="bf16")

    with watched(run.network.dirformer.patch_embed) as outputs:
        terms = learn(run)

    assert outputs[0].dtype == torch.bfloat16
    assert terms["l_pix"].dtype == torch.float32
    assert weight(run.network).dtype == torch.float32


def test_channels_last_reaches_weights_and_images():
    run = trainer(channels_last=True)
    batch = run._on_device(Pair(LQ, GT))

    with watched(run.network.dirformer.patch_embed) as outputs:
        learn(run, batch)

    assert weight(run.network).is_contiguous(memory_format=torch.channels_last)
    assert outputs[0].is_contiguous(memory_format=torch.channels_last)


def test_clipping_bounds_the_gradient_and_reports_its_norm_before():
    run = trainer(grad_clip=1e-3)

    norm = learn(run)["grad_norm"]

    left = torch.stack([parameter.grad.norm() for parameter in run.network.parameters()]).norm()
    assert norm > 1e-3
    assert left == pytest.approx(1e-3, rel=1e-2)


def test_the_learning_rate_follows_its_schedule():
    run = trainer(warmup_iter=5)

    learn(run)

    assert run._optimizers[0][1].param_groups[0]["lr"] == pytest.approx(1e-2 / 5)


def test_the_encoder_phase_has_its_own_rate_and_schedule():
    own = SchedulerConfig("Constant")
    config = TrainConfig(total_iter=4, own=DiffIRTraining(encoder_iter=2, encoder_lr=0.5, encoder_scheduler=own))

    alone, joint = (phase.learners[0] for phase in StageTwo(DiffIR(TINY, stage=1), config).phases)

    assert (alone.optim.lr, alone.scheduler) == (0.5, own)
    assert (joint.optim.lr, joint.scheduler) == (config.optim_g.lr, config.scheduler)


def test_the_joint_phase_begins_with_a_fresh_optimiser():
    config = TrainConfig(total_iter=4, own=DiffIRTraining(encoder_iter=2))
    run = trainer_of(StageTwo(DiffIR(TINY, stage=1), config), config)

    seen = []
    for _ in range(4):
        learn(run)
        state = run._optimizers[0][1].state
        seen.append((run.phase.name, len(state), int(next(iter(state.values()))["step"])))

    names, sizes, steps = zip(*seen, strict=True)
    assert names == ("prior", "prior", "joint", "joint")
    assert sizes[2] == len(list(run.network.parameters())) > sizes[1]
    assert steps == (1, 2, 1, 2)


def test_a_learner_that_goes_on_keeps_its_optimiser_and_its_schedule():
    config = TrainConfig(total_iter=4, optim_g=OptimConfig(lr=1e-2), scheduler=SchedulerConfig("Cosine", eta_min=0))
    stage = StageOne(TINY, config)
    (learner,) = stage.phases[0].learners
    stage.phases = [Phase("first", 0, 2, [learner]), Phase("second", 2, 4, [learner])]
    run = trainer_of(stage, config)

    seen = []
    for _ in range(4):
        learn(run)
        optimizer = run._optimizers[0][1]
        seen.append((int(next(iter(optimizer.state.values()))["step"]), optimizer.param_groups[0]["lr"]))

    steps, rates = zip(*seen, strict=True)
    assert steps == (1, 2, 3, 4)
    assert rates == pytest.approx([learning_rate(config.scheduler, 1e-2, step, 4) for step in range(4)])


def test_accumulated_batches_equal_one_large_one():
    whole, parts = trainer(), trainer()

    learn(whole, Pair(LQ, GT))
    learn(parts, Pair(LQ[:1], GT[:1]), Pair(LQ[1:], GT[1:]))

    assert torch.allclose(weight(whole.network), weight(parts.network), atol=1e-6)


def test_processes_start_the_diffusion_from_the_noise_that_one_process_would_draw():
    run, twice = trainer(), Pair(LQ.repeat(2, 1, 1, 1), GT.repeat(2, 1, 1, 1))

    ((alone,),) = run._noise([twice])
    shares = []
    for rank in (0, 1):
        run.processes = Processes(rank, size=2)
        shares += [noise for (noise,) in run._noise([Pair(LQ, GT)])]

    assert torch.equal(torch.cat(shares), alone)


def test_compiled_networks_are_called_through_torchs_compiler():
    with torch.compiler.set_stance("force_eager"):  # asked for, but not waited for
        run = trainer(compile=True)
        terms = learn(run)

    assert all(child._compiled_call_impl is not None for child in run.network.children())
    assert torch.equal(terms["l_pix"], learn(trainer())["l_pix"])


def test_recomputed_activations_change_no_gradient():
    kept, computed_again = trainer(), trainer(checkpoint_activations=True)

    for run in (kept, computed_again):
        learn(run)

    pairs = zip(kept.network.parameters(), computed_again.network.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_a_step_whose_gradient_is_not_finite_is_skipped_and_counted():
    run = trainer(max_nonfinite=1)
    before = weight(run.network).clone()

    terms = learn(run, Pair(LQ, torch.full_like(GT, torch.nan)))

    assert torch.equal(weight(run.network), before)
    assert (run.skipped, terms) == (1, {})


def test_a_good_step_makes_skipped_ones_forgiven():
    run = trainer(max_nonfinite=1)
    bad = Pair(LQ, torch.full_like(GT, torch.nan))

    for part in (bad, Pair(LQ, GT), bad, Pair(LQ, GT), bad):
        learn(run, part)

    assert run.skipped == 3


def test_too_many_such_steps_stop_the_run_and_keep_the_batch(tmp_path):
    run = trainer(max_nonfinite=0)

    with pytest.raises(TrainingError, match=r"not finite 1 times in a row.*lower train\.optim_g\.lr"):
        run._learn([Pair(LQ, torch.full_like(GT, torch.nan))], tmp_path)

    (saved,) = tmp_path.glob("nonfinite_stage1_*.pt")
    assert torch.equal(torch.load(saved, weights_only=True)[0]["lq"], LQ)


class Scored:
    """A log, and a validation that returns the given scores one after the other."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def __call__(self, network: DiffIR, step: int) -> dict[str, float]:
        return {"psnr": self.scores.pop(0)}

    def record(self, *of_step: object) -> None:
        pass


def test_a_collapse_goes_back_to_the_best_weights_at_half_the_rate():
    run = trainer(collapse_margin=1.0, ema_decay=0.0)
    scores = Scored(30.0, 20.0)
    best = weight(run.network).clone()

    run._validate(scores, scores)
    learn(run)
    moved = weight(run.network).clone()
    run._validate(scores, scores)

    assert not torch.equal(moved, best)
    assert torch.equal(weight(run.network), best)
    assert run.early_stopping.lr_scale == 0.5


def test_after_a_collapse_no_memory_of_it_steers_the_optimiser():
    run = trainer(collapse_margin=1.0, ema_decay=0.0)
    scores = Scored(30.0, 20.0)

    run._validate(scores, scores)
    learn(run)
    remembers = [bool(optimizer.state) for _, optimizer in run._optimizers]
    run._validate(scores, scores)

    assert remembers == [True]
    assert not any(optimizer.state for _, optimizer in run._optimizers)


def test_the_slower_rate_of_a_collapse_reaches_the_optimiser_and_the_log():
    usual, slower = trainer(), trainer()
    slower.early_stopping.lr_scale = 0.25

    for run in (usual, slower):
        learn(run)

    rates = [run._optimizers[0][1].param_groups[0]["lr"] for run in (usual, slower)]
    assert rates[1] == 0.25 * rates[0] == slower._lr


def test_the_best_weights_are_published_where_the_options_say_so():
    run = trainer(publish="best", ema_decay=0.0)
    scores = Scored(30.0, 29.0)
    best = weight(run.network).clone()

    run._validate(scores, scores)
    learn(run)
    run._validate(scores, scores)

    assert torch.equal(run.published["dirformer.patch_embed.weight"], best)
    assert run.scores == {"psnr": 30.0}


def test_progressive_patches_follow_their_legs():
    overrides = ["train.total_iter=3", "train.iters=[2, 1]", "train.gt_sizes=[32, 64]", "train.mini_batch_sizes=[3, 2]"]
    overrides += ["stage2.total_iter=3", "stage2.encoder_iter=0"]
    overrides += [f"datasets.train.dataroot_gt={REPOSITORY}/datasets/samples/train"]
    run = run_of(load_config(REPOSITORY / "options/debug/tiny.yml", overrides))

    shapes = [tuple(batch.gt.shape) for batch in batches(run.config, Processes())]

    assert shapes == [(3, 3, 32, 32), (3, 3, 32, 32), (2, 3, 64, 64)]


def test_each_process_learns_from_samples_of_its_own():
    photos = f"datasets.train.dataroot_gt={REPOSITORY}/datasets/samples/train"
    shared = ["train.total_iter=2", "datasets.train.gt_size=32", "datasets.train.batch_size_per_gpu=2", photos]
    config = load_config(REPOSITORY / "options/debug/tiny.yml", shared)
    double = load_config(REPOSITORY / "options/debug/tiny.yml", [*shared, "datasets.train.batch_size_per_gpu=4"])

    first, second = (list(batches(config, Processes(rank, size=2))) for rank in (0, 1))

    for left, right, alone in zip(first, second, batches(double, Processes()), strict=True):
        assert torch.equal(torch.cat([left.gt, right.gt]), alone.gt)
