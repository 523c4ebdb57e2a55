"""The losses: their terms and weights, their gradients, and the weights that they need."""

import hashlib
import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffir.config import TrainConfig
from diffir.config_losses import GanConfig, PerceptualConfig, TargetsConfig
from diffir.errors import ConfigError, WeightsError
from diffir.losses import pixel_l1
from diffir.losses.backbones import VGG19, DilatedResNet50
from diffir.losses.discriminators import build_discriminator
from diffir.metrics.lpips import load_squeezenet
from diffir.public_files import PublicFile
from diffir.systems.diffir.tasks import get_task
from diffir.training.backbone_files import SOURCES, load_perceptual
from diffir.training.checkpoint import Checkpoints
from diffir.training.criterion import Criterion, sharpened

TINY, INPAINT = get_task("denoise_tiny").arch, get_task("inpaint").arch
FIXED = torch.Generator().manual_seed(0)
RESTORED, GT, LQ = (torch.rand(2, channels, 32, 32, generator=FIXED) for channels in (3, 3, 4))
SMALL = {
    "unet_sn": GanConfig(num_feat=4),
    "patch": GanConfig("patch", 4, feature_matching=100, r1=0.001),
    "detail": GanConfig("detail", 4, feature_matching=1),
}
EACH_GAN = pytest.mark.parametrize("gan", SMALL.values(), ids=SMALL)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Both cache folders are empty."""
    monkeypatch.setenv("DIFFIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def vgg(tmp_path) -> str:
    path = tmp_path / "small.pth"
    torch.save(VGG19(4).state_dict(), path)
    return str(path)


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def criterion(settings=TINY, **sections) -> Criterion:
    torch.manual_seed(0)
    return Criterion(TrainConfig(**sections), has_mask=settings.has_mask)


def test_without_sections_the_criterion_is_weighted_l1_and_nothing_else():
    plain = criterion(pixel_weight=2.0)

    losses = plain.generator_losses(RESTORED, GT, LQ)

    assert losses.total == 2 * pixel_l1(RESTORED, GT)
    assert list(losses.terms) == ["l_pix"]
    assert plain.discriminator is None and plain.frozen == []
    assert plain.cpen_target(GT) is GT


@EACH_GAN
def test_the_total_is_the_weighted_sum_of_the_logged_terms(gan, vgg):
    full = criterion(pixel_weight=3.0, gan=gan, perceptual=PerceptualConfig(weight=5.0, backbone=vgg))

    losses = full.generator_losses(RESTORED, GT, LQ)

    weights = {"l_pix": 3.0, "l_percep": 5.0, "l_gan": gan.weight, "l_fm": gan.feature_matching}
    torch.testing.assert_close(losses.total, torch.stack([weights[n] * t for n, t in losses.terms.items()]).sum())
    assert ("l_fm" in losses.terms) == bool(gan.feature_matching)


def test_a_regular_grid_has_a_loss_of_its_own_in_networks_that_enlarge():
    enlarging = criterion(gan=GanConfig("detail", 4, grid=7.0))

    losses = enlarging.generator_losses(RESTORED, GT, LQ[..., ::2, ::2])

    weights = {"l_pix": 1.0, "l_gan": 1.0, "l_grid": 7.0}
    torch.testing.assert_close(losses.total, torch.stack([weights[n] * t for n, t in losses.terms.items()]).sum())
    with pytest.raises(ConfigError, match="grid is for networks that enlarge"):
        enlarging.generator_losses(RESTORED, GT, LQ)


@EACH_GAN
def test_the_discriminator_learns_nothing_from_the_network_and_the_network_nothing_from_it(gan):
    both, restored = criterion(gan=gan), RESTORED.clone().requires_grad_(True)

    of_network = [both.generator_losses(restored, GT, LQ) for _ in range(2)]  # two batches before one backward
    of_discriminator = both.discriminator_losses(restored.detach(), GT, LQ)
    of_network[0].total.backward()
    of_network[1].total.backward()

    assert restored.grad is not None and restored.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in both.discriminator.parameters())
    of_discriminator.total.backward()
    assert all(parameter.grad is not None for parameter in both.discriminator.parameters())


@EACH_GAN
def test_a_discriminator_that_learns_comes_to_tell_images_apart(gan):
    both = criterion(gan=gan)
    optimizer = torch.optim.Adam(both.discriminator.parameters(), lr=1e-2)
    totals = []

    for _ in range(15):
        losses = both.discriminator_losses(0.3 * RESTORED, GT, LQ)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        totals.append(losses.total.item())

    assert totals[-1] < 0.95 * totals[0]
    assert losses.terms["out_d_real"] > losses.terms["out_d_fake"]


@EACH_GAN
def test_the_discriminators_total_is_what_it_logs_with_the_penalty_weighted(gan):
    losses = criterion(gan=replace(gan, r1=7.0)).discriminator_losses(RESTORED, GT, LQ)

    terms = losses.terms
    torch.testing.assert_close(losses.total, terms["l_d_real"] + terms["l_d_fake"] + 7 * terms["l_r1"])
    assert terms["l_r1"] > 0


def test_outside_the_hole_a_restored_image_is_real_to_the_discriminator():
    both = criterion(INPAINT, gan=SMALL["patch"])
    nothing_missing = torch.cat([GT, torch.zeros(2, 1, 32, 32)], dim=1)

    terms = both.discriminator_losses(GT, GT, nothing_missing).terms

    torch.testing.assert_close(terms["l_d_fake"], terms["l_d_real"])


def test_holes_cost_nothing_where_their_weight_is_zero():
    known = criterion(INPAINT, targets=TargetsConfig(known_weight=10, hole_weight=0))
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :16] = 1
    wrong_in_the_hole = torch.where(mask > 0, RESTORED, GT)

    found = known.generator_losses(wrong_in_the_hole, GT, torch.cat([GT, mask], dim=1))

    assert found.total == 0
    with pytest.raises(ConfigError, match="take a mask"):
        criterion(TINY, targets=TargetsConfig(hole_weight=0))


@pytest.mark.parametrize("flag", ["l1_gt_usm", "percep_gt_usm", "gan_gt_usm", "prior_gt_usm"])
def test_each_loss_asks_for_sharpened_images_on_its_own(flag, vgg):
    gan = GanConfig("patch", 4, feature_matching=1)
    sharp = criterion(gan=gan, perceptual=PerceptualConfig(backbone=vgg), targets=TargetsConfig(**{flag: True}))
    plain = criterion(gan=gan, perceptual=PerceptualConfig(backbone=vgg))

    found, usual = (each.generator_losses(RESTORED, GT, LQ).terms for each in (sharp, plain))

    term = {"l1_gt_usm": "l_pix", "percep_gt_usm": "l_percep", "gan_gt_usm": "l_fm"}.get(flag)
    assert [name for name in found if not torch.equal(found[name], usual[name])] == ([term] if term else [])
    assert torch.equal(sharp.cpen_target(GT), sharpened(GT) if flag == "prior_gt_usm" else GT)


def test_losses_are_float32_under_autocast(vgg):
    both = criterion(gan=SMALL["patch"], perceptual=PerceptualConfig(backbone=vgg))
    exact = both.generator_losses(RESTORED, GT, LQ).terms

    with torch.autocast("cpu", torch.bfloat16):
        found = both.generator_losses(RESTORED, GT, LQ).terms
        of_discriminator = both.discriminator_losses(RESTORED.bfloat16(), GT, LQ)

    assert all(torch.equal(found[name], exact[name]) for name in exact)
    assert of_discriminator.total.dtype == torch.float32


@EACH_GAN
@pytest.mark.parametrize("kind", ["released", "training state"])
def test_a_discriminator_starts_from_the_file_the_options_name(gan, kind, tmp_path):
    saved = build_discriminator(gan.network, gan.num_feat)
    path = Checkpoints(tmp_path, keep=1).save(3, 10, {"params_d": saved.state_dict()})
    if kind == "released":
        path = tmp_path / "net_d.pth"
        torch.save({"params": saved.state_dict()}, path)

    started = criterion(gan=GanConfig(gan.network, gan.num_feat, pretrain_network_d=str(path)))

    assert torch.equal(next(started.discriminator.parameters()), next(saved.parameters()))
    with pytest.raises(WeightsError, match="is not a discriminator"):
        criterion(gan=GanConfig(gan.network, 2 * gan.num_feat, pretrain_network_d=str(path)))


@pytest.mark.parametrize("left", [0, 20, 500, -1])
def test_a_damaged_state_that_a_discriminator_shall_start_from_is_one_line(left, tmp_path):
    path = Checkpoints(tmp_path, keep=1).save(3, 10, {"params_d": build_discriminator("patch", 4).state_dict()})
    path.write_bytes(path.read_bytes()[:left])

    with pytest.raises(WeightsError, match=r"stage3_00000010\.state is damaged.* gan\.pretrain_network_d") as caught:
        criterion(gan=GanConfig("patch", 4, pretrain_network_d=str(path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [{}, {"backbone": "missing.pth"}], ids=["caches", "file"])
def test_without_weights_training_goes_on_and_one_line_says_what_to_do(given, caplog):
    with caplog.at_level(logging.WARNING):
        without = criterion(perceptual=PerceptualConfig(**given))

    assert list(without.generator_losses(RESTORED, GT, LQ).terms) == ["l_pix"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("perceptual loss skipped")
    assert SOURCES["vgg19"].url in caplog.messages[0]


def test_lpips_is_the_metric_of_the_evaluation_and_needs_no_file():
    loss = criterion(pixel_weight=0.0, perceptual=PerceptualConfig("lpips", weight=2.0))
    restored = RESTORED.clone().requires_grad_()
    metric = load_squeezenet({}, "cpu")

    losses = loss.generator_losses(restored, GT, LQ)

    losses.total.backward()
    pairs = [(255 * image.permute(1, 2, 0).numpy() for image in pair) for pair in zip(RESTORED, GT, strict=True)]
    assert losses.terms["l_percep"].item() == pytest.approx(sum(metric(*pair) for pair in pairs) / len(pairs), rel=1e-4)
    assert losses.total.item() == pytest.approx(2 * losses.terms["l_percep"].item())
    assert restored.grad is not None and restored.grad.abs().sum() > 0


@pytest.mark.parametrize("place", ["cache", "torch"])
def test_weights_are_found_in_either_cache(place, tmp_path, monkeypatch):
    path = tmp_path / {"cache": "cache/small.pth", "torch": "torch/hub/checkpoints/small.pth"}[place]
    path.parent.mkdir(parents=True)
    torch.save(VGG19(4).state_dict(), path)
    source = SOURCES["vgg19"]._replace(
        in_cache="small.pth", in_torch_home="hub/checkpoints/small.pth", sha256=sum_of(path)
    )
    monkeypatch.setitem(SOURCES, "vgg19", source)

    assert load_perceptual(PerceptualConfig()) is not None


def test_weights_are_fetched_once_and_only_when_asked(vgg, tmp_path, monkeypatch):
    home = PublicFile("small.pth", "-", f"file://{vgg}", sum_of(Path(vgg)))
    monkeypatch.setitem(SOURCES, "vgg19", home)
    monkeypatch.setattr("diffir.public_files.SCHEMES", ("file",))

    assert load_perceptual(PerceptualConfig()) is None
    assert load_perceptual(PerceptualConfig(download=True)) is not None
    monkeypatch.setitem(SOURCES, "vgg19", home._replace(url="file:///gone"))
    assert load_perceptual(PerceptualConfig(download=True)) is not None


def test_a_failed_fetch_leaves_the_loss_out(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(SOURCES, "vgg19", SOURCES["vgg19"]._replace(url=f"file://{tmp_path}/gone"))

    assert load_perceptual(PerceptualConfig(download=True)) is None
    assert "could not be downloaded" in caplog.messages[-1]
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_a_network_without_a_known_sum_is_taken_only_from_a_named_file(tmp_path, caplog):
    path = tmp_path / "torch" / SOURCES["ade20k"].in_torch_home
    path.parent.mkdir(parents=True)
    torch.save(DilatedResNet50(4).state_dict(), path)

    assert load_perceptual(PerceptualConfig("ade20k", download=True)) is None
    assert "no checksum" in caplog.messages[-1] and "perceptual.download" not in caplog.messages[-1]
    assert load_perceptual(PerceptualConfig("ade20k", backbone=str(path))) is not None


@pytest.mark.parametrize("name", SOURCES)
def test_every_address_is_safe_and_a_sum_is_whole_or_absent(name):
    assert SOURCES[name].url.startswith("https://")
    assert re.fullmatch("([0-9a-f]{64})?", SOURCES[name].sha256)


def test_a_file_whose_sum_is_not_the_one_in_its_name_is_refused(vgg, tmp_path):
    promised = tmp_path / "vgg19-dcbb9e9d.pth"
    promised.write_bytes(Path(vgg).read_bytes())

    with pytest.raises(WeightsError, match="damaged: its sha256 begins"):
        load_perceptual(PerceptualConfig(backbone=str(promised)))


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (PerceptualConfig, {"weight": -1.0}),
        (PerceptualConfig, {"layer_weights": {"conv9_9": 1.0}}),
        (PerceptualConfig, {"layer_weights": {"conv1_2": "much"}}),
        (PerceptualConfig, {"network": "ade20k", "layer_weights": {"conv1_2": 1.0}}),
        (PerceptualConfig, {"network": "lpips", "layer_weights": {"conv1_2": 1.0}}),
        (PerceptualConfig, {"network": "lpips", "backbone": "squeezenet.pth"}),
        (GanConfig, {"num_feat": 0}),
        (GanConfig, {"lr": 0.0}),
        (GanConfig, {"betas": (0.9, 1.0)}),
        (GanConfig, {"r1": -1.0}),
        (TargetsConfig, {"known_weight": -1.0}),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_line(section, values):
    with pytest.raises(ConfigError) as caught:
        section(**values)

    assert "\n" not in str(caught.value)
