"""Tests of a prior that is computed from a thumbnail of the whole photo (``prior_view: whole``)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import diffir
from diffir.api import load_config
from diffir.config import TrainConfig
from diffir.errors import ConfigError
from diffir.image_io import write_image
from diffir.inference.source import Source
from diffir.system import ThumbnailPair
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.engine.streaming import StreamedNetwork
from diffir.systems.diffir.prior_losses import prior_r2
from diffir.systems.diffir.stages import StageTwo
from diffir.systems.diffir.tasks import get_task
from diffir.systems.diffir.training_options import DiffIRTraining
from diffir.thumbnail import thumbnail
from tests.diffir_objects import card_of, run_of, save_weights

WHOLE = replace(get_task("denoise_tiny").arch, prior_view="whole", prior_thumbnail=16)
TINY = Path(__file__).resolve().parents[3] / "options/debug/tiny.yml"


def batch_of(size: int) -> ThumbnailPair:
    lq, gt = torch.rand(2, 2, 3, 32, 32)
    return ThumbnailPair(lq[..., :size, :size], gt[..., :size, :size], thumbnail(lq, 16), thumbnail(gt, 16))


def test_a_thumbnail_is_the_mean_of_the_pixels_that_it_covers() -> None:
    image = torch.arange(64.0).reshape(1, 1, 8, 8)

    assert torch.equal(thumbnail(image, 2), torch.tensor([[[[13.5, 17.5], [45.5, 49.5]]]]))
    assert thumbnail(image, 8) is image


def test_the_engine_computes_the_condition_of_the_network_whatever_the_strips() -> None:
    torch.manual_seed(0)
    network = DiffIR(WHOLE).eval().requires_grad_(False)
    photos = np.random.default_rng(0).random((2, 80, 48, 3), np.float32)
    expected = network.condition(torch.from_numpy(photos.transpose(0, 3, 1, 2)))

    streamed = StreamedNetwork(network, torch.device("cpu"), 100).condition(Source.whole(photos, None, WHOLE.facts))

    torch.testing.assert_close(streamed, expected)


def test_all_tiles_of_a_photo_share_the_prior_of_the_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_weights(tmp_path / "w.safetensors", DiffIR(WHOLE).state_dict(), card_of("w", WHOLE))
    photo = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    whole, tiled = (
        diffir.load(str(tmp_path / "w.safetensors"), device="cpu", precision="fp32", tile=tile) for tile in (-1, 64)
    )

    torch.testing.assert_close(tiled.estimate_prior_of(photo), whole.estimate_prior_of(photo))


def test_stage_two_starts_at_the_mean_prior_of_its_teacher() -> None:
    torch.manual_seed(0)
    stage = StageTwo(DiffIR(WHOLE, stage=1), TrainConfig(total_iter=10))
    batch = batch_of(16)
    oracle = stage.oracle_prior(batch.lq_thumbnail, batch.gt_thumbnail)
    lq_channels = WHOLE.cpen_channels(2)

    stage.start_from_teacher(batch)

    assert torch.equal(stage.network.cpen.head.weight, stage.teacher.cpen.head.weight[:, :lq_channels])
    estimate = stage.network.estimate_prior(batch.lq_thumbnail, noise=torch.zeros(2, WHOLE.prior_width))
    assert (estimate - oracle.mean(dim=0)).abs().max() < 0.25 * oracle.abs().mean()


def test_the_prior_learns_from_thumbnails_without_patches() -> None:
    config = TrainConfig(total_iter=10, own=DiffIRTraining(encoder_iter=4))
    stage = StageTwo(DiffIR(WHOLE, stage=1), config)

    next(stage.losses(batch_of(0), stage.phases[0], (torch.zeros(2, WHOLE.prior_width),))).total.backward()

    assert all(parameter.grad is not None for parameter in stage.network.cpen.parameters())


def test_r2_is_1_for_equal_priors_and_0_for_their_mean() -> None:
    oracles = torch.rand(5, 8)

    assert prior_r2(oracles, oracles) == 1
    assert prior_r2(oracles.mean(dim=0).expand(5, -1), oracles) == pytest.approx(0, abs=1e-6)


def test_both_stages_train_from_an_option_file_and_log_what_the_prior_carries(tmp_path: Path) -> None:
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / f"{number}.png", pixels)
    config = load_config(
        TINY,
        [
            *("network_g.settings.prior_view=whole", "network_g.settings.prior_thumbnail=16"),
            *(f"datasets.{part}.dataroot_gt={tmp_path / 'photos'}" for part in ("train", "val")),
            *("datasets.train.gt_size=16", "datasets.train.view_size=32", "datasets.train.batch_size_per_gpu=2"),
            *("train.total_iter=2", "train.encoder_iter=1", "train.warmup_iter=0"),
            *("stage2.total_iter=4", "stage2.encoder_iter=2", "stage2.iters=[2, 2]"),
            *("stage2.gt_sizes=[0, 16]", "stage2.mini_batch_sizes=[3, 2]", "stage2.warmup_iter=0"),
            *("val.val_freq=0", f"path.experiments_root={tmp_path / 'runs'}"),
        ],
    )

    run_of(config).start(auto_resume=False)

    log = next((tmp_path / "runs").rglob("train_log.jsonl")).read_text()
    assert '"prior_r2"' in log
    assert '"prior_gain"' in log


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("network_g.settings.prior_view=half", "prior_view: 'half' is not one of patch, whole"),
        ("network_g.settings.prior_thumbnail=18", "a multiple of 4"),
    ],
)
def test_settings_of_the_view_are_checked(override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(TINY, ["network_g.settings.prior_view=whole", override])


def test_patches_of_size_0_are_for_the_first_steps_of_a_prior_that_sees_whole_photos() -> None:
    legs = ["stage2.total_iter=4", "stage2.iters=[2, 2]", "stage2.mini_batch_sizes=[2, 2]"]
    whole = "network_g.settings.prior_view=whole"

    with pytest.raises(ConfigError, match="0 is for networks that read a thumbnail"):
        load_config(TINY, [*legs, "stage2.encoder_iter=2", "stage2.gt_sizes=[0, 16]"])
    with pytest.raises(ConfigError, match="0 is for the first steps"):
        load_config(TINY, [whole, *legs, "stage2.encoder_iter=1", "stage2.gt_sizes=[0, 16]"])
    with pytest.raises(ConfigError, match="0 is for the first steps"):
        load_config(TINY, [whole, *legs, "stage2.encoder_iter=2", "stage2.gt_sizes=[16, 0]"])
