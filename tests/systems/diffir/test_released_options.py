"""Tests of option files of the DiffIR authors: they are translated with the learning rates in effect, or refused."""

import logging
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from diffir.api import load_config
from diffir.config import RunConfig, TrainConfig
from diffir.config_file import typed_config
from diffir.errors import ConfigError
from diffir.systems.diffir.released_options import is_official, to_our_options
from diffir.systems.diffir.system import DIFFIR

# Written for these tests in the layout of upstream's files, with the values of the released options.
MOTION_1 = """
name: blur_one
model_type: DiffIRS1Model
scale: 1
num_gpu: 8
manual_seed: 3
datasets:
  train:
    name: Set
    type: Dataset_Paired
    dataroot_gt: sharp
    dataroot_lq: blurred
    geometric_augs: true
    io_backend: {type: disk}
    use_shuffle: true
    num_worker_per_gpu: 4
    batch_size_per_gpu: 8
    mini_batch_sizes: [8, 4]
    iters: [200, 100]
    gt_size: 64
    gt_sizes: [32, 64]
  val: {name: Held, type: Dataset_Paired, dataroot_gt: v_sharp, dataroot_lq: v_blurred, io_backend: {type: disk}}
network_g: {type: DiffIRS1, n_encoder_res: 5, inp_channels: 3, out_channels: 3, dim: 48, num_blocks: [3, 5, 6, 6],
  num_refinement_blocks: 4, heads: [1, 2, 4, 8], ffn_expansion_factor: 2, bias: False, LayerNorm_type: WithBias}
path: {pretrain_network_g: ~, strict_load_g: true, resume_state: ~}
train:
  total_iter: 300
  warmup_iter: -1
  ema_decay: 0.999
  optim_g: {type: Adam, lr: !!float 2e-4, weight_decay: 0, betas: [0.9, 0.999]}
  scheduler: {type: CosineAnnealingRestartCyclicLR, periods: [92, 208], restart_weights: [1, 1],
    eta_mins: [0.000285, 0.000001]}
  pixel_opt: {type: L1Loss, loss_weight: 1, reduction: mean}
val: {window_size: 8, val_freq: !!float 5e3, save_img: false, metrics: {psnr: {type: calculate_psnr, crop_border: 0,
  test_y_channel: false}}}
logger: {print_freq: 200, save_checkpoint_freq: !!float 5e3, use_tb_logger: true, wandb: {project: ~}}
dist_params: {backend: nccl, port: 29500}
"""
REAL_2 = """
name: real_two
model_type: DiffIRS2Model
scale: 4
gt_usm: False
resize_prob: [0.2, 0.7, 0.1]
resize_range: [0.15, 1.5]
jpeg_range2: [30, 95]
gt_size: 256
queue_size: 180
datasets:
  train: {name: Set, type: Synthetic, dataroot_gt: photos, meta_info: list.txt, io_backend: {type: disk},
    blur_kernel_size: 21, kernel_prob: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03], final_sinc_prob: 0.8, gt_size: 400,
    use_hflip: True, use_rot: False, batch_size_per_gpu: 9, num_worker_per_gpu: 9}
network_g: {type: DiffIRS2, n_encoder_res: 9, dim: 64, num_blocks: [13, 1, 1, 1], num_refinement_blocks: 13,
  heads: [1, 2, 4, 8], ffn_expansion_factor: 2.2, LayerNorm_type: BiasFree, n_denoise_res: 1, linear_start: 0.1,
  linear_end: 0.99, timesteps: 4}
network_S1: {type: DiffIRS1, n_encoder_res: 9}
path: {pretrain_network_g: S1.pth, pretrain_network_S1: S1.pth, param_key_g: params_ema, strict_load_g: False}
train:
  ema_decay: 0.999
  optim_g: {type: Adam, lr: !!float 2e-4, weight_decay: 0, betas: [0.9, 0.99]}
  scheduler: {type: MultiStepLR, milestones: [500000, 700000], gamma: 0.5}
  total_iter: 1000000
  encoder_iter: 100000
  lr_encoder: !!float 2e-4
  lr_sr: !!float 3e-4
  gamma_encoder: 0.1
  gamma_sr: 0.5
  lr_decay_encoder: 60000
  lr_decay_sr: 600000
  pixel_opt: {type: L1Loss, loss_weight: 1.0}
  kd_opt: {type: KDLoss, loss_weight: 1, temperature: 0.15}
"""
GAN_3 = """
name: sharp_three
model_type: DiffIRGANS2Model
scale: 2
datasets:
  train: {dataroot_gt: photos, dataroot_lq: small, filename_tmpl: "{}x2", gt_size: 256, use_hflip: true, use_rot: true,
    batch_size_per_gpu: 8, io_backend: {type: lmdb}}
network_g: {type: DiffIRS2, scale: 2, n_encoder_res: 9, dim: 64, num_blocks: [13, 1, 1, 1], num_refinement_blocks: 13,
  ffn_expansion_factor: 2.2, LayerNorm_type: BiasFree}
network_d: {type: UNetDiscriminatorSN, num_in_ch: 3, num_feat: 32, skip_connection: True}
path: {pretrain_network_g: S2.pth, pretrain_network_S1: S1.pth, pretrain_network_d: D.pth}
train:
  ema_decay: 0.999
  optim_g: {type: Adam, lr: !!float 2e-4, betas: [0.9, 0.99]}
  optim_d: {type: Adam, lr: !!float 1e-4, weight_decay: 0, betas: [0.9, 0.99]}
  scheduler: {type: MultiStepLR, milestones: [200000], gamma: 0.5}
  total_iter: 400000
  encoder_iter: 0
  lr_sr: !!float 2e-4
  lr_decay_sr: 300000
  pixel_opt: {type: L1Loss, loss_weight: 1.0, reduction: mean}
  perceptual_opt: {type: PerceptualLoss, layer_weights: {conv1_2: 0.1, conv5_4: 1}, vgg_type: vgg19,
    use_input_norm: true, perceptual_weight: 1.0, style_weight: 0, range_norm: false, criterion: l1}
  gan_opt: {type: GANLoss, gan_type: vanilla, real_label_val: 1.0, fake_label_val: 0.0, loss_weight: !!float 1e-1}
  kd_opt: {type: KDLoss, loss_weight: 1, temperature: 0.15}
  net_d_iters: 1
  net_d_init_iters: 0
"""
FILES = {"motion": MOTION_1, "real": REAL_2, "gan": GAN_3}


def typed(values: dict) -> RunConfig:
    """Translate upstream's options into a run of ours."""
    return typed_config(to_our_options(values), DIFFIR, "options")


def first_stage(config: RunConfig) -> TrainConfig:
    """The options of the first stage that is run."""
    return config.stages[config.run_stages[0]]


def read(text: str) -> RunConfig:
    return typed(yaml.safe_load(text))


def changed(name: str, path: str, value: object) -> dict:
    values = yaml.safe_load(FILES[name])
    *parents, last = path.split(".")
    place = values
    for parent in parents:
        place = place[parent]
    place[last] = value
    return values


@pytest.mark.parametrize(
    ("name", "stage", "task"), [("motion", 1, "deblur"), ("real", 2, "realsr_x4"), ("gan", 3, "sr_x2")]
)
def test_a_file_of_upstream_becomes_a_run_of_one_stage_of_a_row_of_the_table(name, stage, task):
    values = yaml.safe_load(FILES[name])
    before = deepcopy(values)

    config = typed(values)

    assert is_official(values) and values == before
    assert (config.name, config.number(*config.run_stages), config.network_g.task) == (values["name"], stage, task)
    assert config.network_g.settings == {}


def test_pairs_patches_and_flips_of_the_deblurring_files_are_kept():
    config = read(MOTION_1)

    train, val = config.datasets.train, config.datasets.val
    assert (train.dataroot_gt, train.dataroot_lq, train.use_hflip, train.use_rot) == ("sharp", "blurred", True, True)
    assert val is not None and (val.dataroot_lq, val.gt_size) == ("v_blurred", None)
    learning = first_stage(config)
    assert (learning.iters, learning.gt_sizes, learning.mini_batch_sizes) == ((200, 100), (32, 64), (8, 4))
    assert (config.manual_seed, config.val.val_freq, config.val.metrics) == (3, 5000, ("psnr",))
    assert (config.val.save_images, config.logger.save_checkpoint_freq) == (0, 5000)


def test_the_rates_are_those_upstream_overwrites_its_schedule_with():
    train = first_stage(read(REAL_2))

    assert (train.own.encoder_iter, train.own.encoder_lr, train.optim_g.lr) == (100_000, 2e-4, 3e-4)
    assert train.own.encoder_scheduler is not None
    assert (train.own.encoder_scheduler.milestones, train.own.encoder_scheduler.gamma) == ((60_000,), 0.1)
    assert (train.scheduler.type, train.scheduler.milestones, train.scheduler.gamma) == ("MultiStepLR", (600_000,), 0.5)


def test_the_tree_that_comments_the_overwriting_out_keeps_its_schedule():
    train = first_stage(read(GAN_3))

    assert (train.own.encoder_iter, train.scheduler.milestones, train.optim_g.lr) == (0, (200_000,), 2e-4)


def test_milestones_of_a_plain_schedule_count_from_the_end_of_the_encoder_phase():
    values = changed("gan", "model_type", "DiffIRS2")
    values["train"] |= {"encoder_iter": 50_000}

    train = first_stage(typed(values))

    assert train.scheduler.milestones == (150_000,)
    assert train.own.encoder_scheduler is not None and train.own.encoder_scheduler.milestones == (200_000,)


def test_the_synthetic_degradation_becomes_its_recipe():
    train = read(REAL_2).datasets.train

    assert train.degradation == ({"type": "recipe", "name": "realesrgan"},)
    assert (train.gt_size, train.meta_info_file, train.use_rot) == (256, "list.txt", False)


def test_sharpened_targets_reach_the_teacher_and_the_damage_too():
    values = yaml.safe_load(REAL_2) | {"l1_gt_usm": True, "percep_gt_usm": True, "gan_gt_usm": False}

    config = typed(values)

    targets = first_stage(config).targets
    assert (targets.l1_gt_usm, targets.percep_gt_usm, targets.gan_gt_usm, targets.prior_gt_usm) == (
        True,
        True,
        False,
        True,
    )
    assert [step["type"] for step in config.datasets.train.degradation] == ["usm_sharpen", "recipe"]


def test_the_adversarial_stage_brings_its_losses_and_its_discriminator():
    config = read(GAN_3)

    gan, perceptual = first_stage(config).gan, first_stage(config).perceptual
    assert gan is not None and perceptual is not None
    assert (gan.network, gan.num_feat, gan.weight, gan.lr, gan.pretrain_network_d) == (
        "unet_sn",
        32,
        0.1,
        1e-4,
        "D.pth",
    )
    assert (perceptual.distance, perceptual.layers) == ("l1", {"conv1_2": 0.1, "conv5_4": 1})
    assert (config.path.pretrain_network_g, config.path.pretrain_network_s2) == ("S1.pth", "S2.pth")


def test_a_first_stage_may_start_from_what_fits():
    loose = MOTION_1.replace(
        "pretrain_network_g: ~, strict_load_g: true", "pretrain_network_g: A.pth, strict_load_g: false"
    )

    assert read(MOTION_1).path.strict_load_g
    assert (read(loose).path.pretrain_network_g, read(loose).path.strict_load_g) == ("A.pth", False)


def test_stage_2_starts_from_the_teacher_or_from_weights_of_its_own():
    usual, tuned = read(REAL_2).path, to_our_options(changed("real", "path.pretrain_network_g", "S2.pth"))["path"]

    assert (usual.pretrain_network_g, usual.pretrain_network_s2) == ("S1.pth", None)
    assert tuned == {"pretrain_network_g": "S1.pth", "pretrain_network_s2": "S2.pth"}


def test_upstreams_defaults_hold_where_a_file_is_silent():
    values = yaml.safe_load(REAL_2)
    for key in ("n_encoder_res", "ffn_expansion_factor"):
        del values["network_g"][key]
    del values["train"]["optim_g"]["betas"], values["train"]["ema_decay"]

    config = typed(values)

    assert config.network_g.settings == {"cpen_blocks": 6, "ffn_expansion": 2.66}
    assert (first_stage(config).optim_g.betas, first_stage(config).ema_decay) == ((0.9, 0.999), 0.0)


def test_what_means_nothing_here_is_named_in_one_line(caplog):
    with caplog.at_level(logging.WARNING):
        read(MOTION_1)

    (line,) = caplog.messages
    names = {"num_gpu", "datasets.train.use_shuffle", "train.scheduler.periods", "dist_params"}
    assert names <= set(line.removeprefix("option file of DiffIR, ignored: ").split(", "))
    assert "wandb" not in line and "network_g" not in line


def test_a_file_that_leaves_nothing_over_warns_of_nothing(caplog):
    read(GAN_3.replace("  encoder_iter: 0\n  lr_sr: !!float 2e-4\n  lr_decay_sr: 300000\n", ""))

    assert not caplog.messages


@pytest.mark.parametrize(
    ("name", "path", "value", "words"),
    [
        ("real", "model_type", "ESRGANModel", "known: DiffIRS1"),
        ("real", "scale", 3, "scale must be 1, 2 or 4"),
        ("real", "resize_prob", [1, 0, 0], "resize_prob is"),
        ("real", "datasets.train", None, "datasets.train is missing"),
        ("real", "path.resume_state", "1.state", "cannot be resumed"),
        ("real", "network_g.bias", True, "network_g.bias"),
        ("real", "network_g.inp_channels", 4, "inpaint"),
        ("real", "network_g.LayerNorm_type", "Batch", "LayerNorm_type"),
        ("motion", "datasets.train.dataroot_lq", None, "dataroot_lq is missing"),
        ("motion", "datasets.train.io_backend.type", "memcached", "io_backend.type"),
        ("motion", "train.scheduler.type", "CyclicLR", "scheduler.type CyclicLR"),
        ("motion", "train.pixel_opt.type", "MSELoss", "pixel_opt.type"),
        ("motion", "train.total_iter", None, "total_iter"),
        ("gan", "train.gan_opt.gan_type", "hinge", "gan_opt.gan_type"),
        ("gan", "train.perceptual_opt.style_weight", 1, "style_weight"),
        ("gan", "train.perceptual_opt.criterion", "fro", "criterion"),
        ("gan", "train.net_d_iters", 2, "net_d_iters"),
        ("gan", "network_d.type", "VGGStyleDiscriminator", "network_d.type"),
        ("gan", "network_d", "none", "network_d: expected keys"),
    ],
)
def test_what_cannot_be_expressed_is_refused_in_one_line(name, path, value, words):
    with pytest.raises(ConfigError) as caught:
        to_our_options(changed(name, path, value))

    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_our_own_files_are_not_taken_for_upstreams():
    options = Path(__file__).resolve().parents[3] / "options"

    assert not any(is_official(yaml.safe_load(path.read_text("utf-8"))) for path in options.rglob("*.yml"))


def test_a_file_of_upstream_loads_like_any_other(tmp_path):
    path = tmp_path / "upstream.yml"
    path.write_text(MOTION_1, "utf-8")

    config = load_config(path)

    assert config.stages["prior"] == read(MOTION_1).stages["prior"]
    assert config.stages["diffusion"].iters == (200, 100)
