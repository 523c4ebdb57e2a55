"""Every training option does what it says."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from diffir.archs import DiffIR
from diffir.config import OptimConfig, TrainConfig
from diffir.config_file import load_config
from diffir.image_io import list_images
from diffir.tasks import get_task
from diffir.training.run import Run
from diffir.training.stages import StageOne, StageTwo
from diffir.training.trainer import Trainer

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = get_task("denoise_tiny").arch
GT = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LQ = GT + 0.1


def trainer(**train) -> Trainer:
    config = TrainConfig(total_iter=10, optim_g=OptimConfig(lr=1e-2), **train)
    torch.manual_seed(0)
    return Trainer(StageOne(TINY, config), config, device=torch.device("cpu"), seed=0)


@contextmanager
def watched(module: torch.nn.Module):
    """Outputs of a module while the block runs."""
    outputs: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    yield outputs
    handle.remove()


def test_the_published_network_is_the_moving_average_of_the_weights():
    run = trainer(ema_decay=0.5)
    expected = run.network.dirformer.patch_embed.weight.detach().clone()

    for step in range(3):
        run._learn(LQ, GT)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * run.network.dirformer.patch_embed.weight.detach()
        run.step += 1

    assert torch.allclose(run.published.dirformer.patch_embed.weight, expected, atol=1e-6)
    assert not torch.equal(run.published.dirformer.patch_embed.weight, run.network.dirformer.patch_embed.weight)


def test_without_a_moving_average_the_network_itself_is_published():
    run = trainer(ema_decay=0.0)

    assert run.published is run.network


def test_bf16_runs_the_network_under_autocast_and_keeps_losses_in_fp32():
    run = trainer(precision="bf16")

    with watched(run.network.dirformer.patch_embed) as outputs:
        losses, _ = run._learn(LQ, GT)

    assert outputs[0].dtype == torch.bfloat16
    assert losses.total.dtype == torch.float32
    assert run.network.dirformer.patch_embed.weight.dtype == torch.float32


def test_channels_last_reaches_weights_and_images():
    run = trainer(channels_last=True)

    with watched(run.network.dirformer.patch_embed) as outputs:
        run._learn(LQ, GT)

    assert run.network.dirformer.patch_embed.weight.is_contiguous(memory_format=torch.channels_last)
    assert outputs[0].is_contiguous(memory_format=torch.channels_last)


def test_clipping_bounds_the_gradient_and_reports_its_norm_before():
    run = trainer(grad_clip=1e-3)

    _, norm = run._learn(LQ, GT)

    left = torch.stack([parameter.grad.norm() for parameter in run.network.parameters()]).norm()
    assert norm > 1e-3
    assert left == pytest.approx(1e-3, rel=1e-2)


def test_the_learning_rate_follows_its_schedule():
    run = trainer(warmup_iter=5)

    run._learn(LQ, GT)

    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 / 5)


def test_the_encoder_phase_has_its_own_rate():
    config = TrainConfig(total_iter=4, encoder_iter=2, encoder_lr=0.5)

    assert [phase.lr for phase in StageTwo(DiffIR(TINY, stage=1), config).phases] == [0.5, config.optim_g.lr]


def test_the_joint_phase_begins_with_a_fresh_optimiser():
    config = TrainConfig(total_iter=4, encoder_iter=2)
    run = Trainer(StageTwo(DiffIR(TINY, stage=1), config), config, device=torch.device("cpu"), seed=0)

    seen = []
    for _ in range(4):
        run._learn(LQ, GT)
        run.step += 1
        seen.append((run.phase.name, len(run.optimizer.state), int(next(iter(run.optimizer.state.values()))["step"])))

    names, sizes, steps = zip(*seen, strict=True)
    assert names == ("prior", "prior", "joint", "joint")
    assert sizes[2] == len(list(run.network.parameters())) > sizes[1]
    assert steps == (1, 2, 1, 2)


def test_progressive_patches_follow_their_legs():
    overrides = ["train.total_iter=3", "train.iters=[2, 1]", "train.gt_sizes=[32, 64]", "train.mini_batch_sizes=[3, 2]"]
    run = Run(
        load_config(REPOSITORY / "options/debug/tiny.yml", [*overrides, "stage2.total_iter=3", "stage2.encoder_iter=0"])
    )
    photos = list_images(REPOSITORY / "datasets/samples/train")

    shapes = [tuple(batch.gt.shape) for batch in run._batches(1, photos, 0)]

    assert shapes == [(3, 3, 32, 32), (3, 3, 32, 32), (2, 3, 64, 64)]
