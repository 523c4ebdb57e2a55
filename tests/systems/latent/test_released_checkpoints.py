"""Released latent diffusion networks load from both layouts: Lightning files, and folders in diffusers' layout."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import diffir
from diffir._basicsr import prepare_torchvision
from diffir.api import load_network
from diffir.cli.main import main
from diffir.errors import UsageError, WeightsError
from diffir.systems.latent import released, settings_from_shapes
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.diffusers_layout import autoencoder_names, denoiser_names
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.rows import ROWS
from diffir.systems.latent.system import LATENT
from diffir.weights.fingerprint import fingerprint
from tests.systems.latent.released_files import (
    HOLES,
    KL,
    SMALL,
    SMALL_ROWS,
    lightning_state,
    random_network,
    rows_with_small_networks,
    write_diffusers_folder,
    zero_stride,
)

RESIZING = replace(SMALL, denoiser=replace(SMALL.denoiser, updown_blocks=True))
MIXED = ["DownBlock2D", "ResnetDownsampleBlock2D", "DownBlock2D"]


@pytest.fixture(autouse=True)
def small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (released, settings_from_shapes):
        monkeypatch.setattr(module, "ROWS", rows_with_small_networks())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_diffusers_folder(tmp_path_factory.mktemp("template") / "ldm", random_network(SMALL))


@pytest.fixture
def folder(tmp_path: Path, template: Path) -> Path:
    """A folder in diffusers' layout with the network ``random_network(SMALL)``, which a test may change."""
    return shutil.copytree(template, tmp_path / "ldm")


def assert_equal(found: torch.nn.Module, expected: torch.nn.Module, *, but: tuple[str, ...] = ()) -> None:
    theirs, ours = found.state_dict(), expected.state_dict()
    assert theirs.keys() == ours.keys()
    assert [name for name in ours if not torch.equal(theirs[name], ours[name]) and name not in but] == []


def read(state: dict[str, Tensor]):
    return LATENT.read_released(state, "last.ckpt")


# Lightning files


@pytest.mark.parametrize("name", SMALL_ROWS)
def test_a_lightning_file_gives_the_network_with_its_averaged_weights(tmp_path, name):
    expected = random_network(SMALL_ROWS[name])
    torch.save({"state_dict": lightning_state(expected), "epoch": 3, "global_step": 9}, tmp_path / "last.ckpt")

    network, card = load_network(tmp_path / "last.ckpt")

    assert network.settings == expected.settings
    assert_equal(network, expected)
    assert (card.system, card.part, card.task) == ("latent", "denoiser", name)
    assert card.notes == "read from the released checkpoint last.ckpt: averaged weights"


@pytest.mark.parametrize("broken", ["incomplete", "never updated", "absent"])
def test_without_a_complete_average_the_raw_weights_are_taken_and_the_card_says_so(broken):
    state = lightning_state(random_network(SMALL), with_average=broken != "absent")
    if broken == "incomplete":
        del state["model_ema.diffusion_modelout2bias"]
    elif broken == "never updated":
        state["model_ema.num_updates"] = torch.tensor(0)

    found = read(state)

    assert torch.equal(found.state["denoiser.out.2.bias"], state["model.diffusion_model.out.2.bias"])
    assert found.notes.startswith("weights as trained, since")


def test_a_second_copy_of_the_autoencoder_that_differs_is_refused():
    state = lightning_state(random_network(HOLES))
    state["cond_stage_model.decoder.conv_in.bias"] = state["cond_stage_model.decoder.conv_in.bias"] + 1

    with pytest.raises(WeightsError, match=r"contradicts itself: first_stage_model\.decoder\.conv_in\.bias and cond"):
        read(state)


@pytest.mark.parametrize(
    "missing",
    [
        "model.diffusion_model.time_embed.0.weight",
        "model.diffusion_model.middle_block.2.out_layers.3.bias",
        "first_stage_model.encoder.down.1.block.0.conv1.weight",
        "first_stage_model.quantize.embedding.weight",
    ],
)
def test_a_missing_tensor_is_named(tmp_path, missing):
    state = lightning_state(random_network(SMALL))
    del state[missing]
    torch.save(state, tmp_path / "last.ckpt")

    with pytest.raises(WeightsError) as caught:
        load_network(tmp_path / "last.ckpt")

    name = missing.replace("model.diffusion_model.", "").replace("first_stage_model.", "")
    assert f"{name} is missing" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("betas", torch.linspace(0.1, 0.2, 1000), "betas does not belong to a schedule"),
        ("alphas_cumprod", torch.linspace(1, 0, 1000), "alphas_cumprod does not belong"),
        ("posterior_variance", torch.ones(999), "posterior_variance is not a row of 1,000 numbers"),
        ("betas", torch.full((1000,), torch.nan), "betas are not a row of numbers"),
        ("betas", torch.ones(1000, dtype=torch.complex64), "betas is of complex numbers"),
        ("betas", torch.ones(1000, dtype=torch.int64), "its betas belong to no schedule"),
        ("cond_stage_model.decoder.conv_in.bias", torch.ones(64).to(torch.float8_e4m3fn), "contradicts itself"),
        ("scale_factor", torch.tensor(-1.0), "scale_factor is not one positive number"),
        ("cond_stage_model.transformer.weight", torch.ones(2), "condition that diffir does not know"),
        ("model.diffusion_model.middle_block.1.proj_in.weight", torch.ones(2), "cross-attention"),
    ],
)
def test_contents_that_contradict_the_network_are_refused_in_one_line(name, tensor, reason):
    with pytest.raises(WeightsError, match=reason) as caught:
        read(lightning_state(random_network(SMALL)) | {name: tensor})
    assert "\n" not in str(caught.value)


def test_the_schedule_and_the_factor_of_the_latents_are_those_of_the_file():
    other = replace(SMALL, diffusion=replace(SMALL.diffusion, linear_start=0.001, linear_end=0.02, timesteps=500))
    state = lightning_state(random_network(other)) | {"scale_factor": torch.tensor(0.25)}
    state["posterior_variance"] = torch.ones(500)

    found = read(state)

    assert found.settings == other.to_dict()
    assert found.task is None
    assert found.state["latent_scale"].tolist() == [0.25] * 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_files_in_half_precision_have_the_same_schedule(dtype):
    state = {name: tensor.to(dtype) for name, tensor in lightning_state(random_network(SMALL)).items()}

    assert read(state).settings["diffusion"] == SMALL.to_dict()["diffusion"]


def test_a_network_that_is_in_no_row_is_refused_because_its_heads_are_not_known():
    wide = replace(SMALL, denoiser=replace(SMALL.denoiser, multipliers=(1, 3)))

    with pytest.raises(WeightsError, match=r"no row of the table .*\[1, 3\].* number of attention heads"):
        read(lightning_state(random_network(wide)))


def test_a_file_of_others_is_not_taken_for_a_row_that_diffuses_differences():
    with torch.device("meta"):
        network = LatentDiffusion(ROWS["kl-f4"].settings)
    parts = {"model.diffusion_model.": network.denoiser, "first_stage_model.": network.autoencoder}
    shapes = {f"{at}{name}": list(t.shape) for at, part in parts.items() for name, t in part.state_dict().items()}

    with pytest.raises(WeightsError, match="no row of the table"):
        read(zero_stride(shapes))


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "model.autoencoder."])
@pytest.mark.parametrize("settings", [SMALL.autoencoder, HOLES.autoencoder, KL.autoencoder], ids=["vq", "no", "kl"])
def test_an_autoencoder_alone_is_read_with_any_prefix(tmp_path, settings, prefix):
    expected = Autoencoder(settings)
    state = expected.state_dict() | {"loss.logvar": torch.zeros(()), "loss.discriminator.main.0.weight": torch.ones(3)}
    torch.save({"state_dict": {prefix + name: t for name, t in state.items()}}, tmp_path / "model.ckpt")

    network, card = load_network(tmp_path / "model.ckpt")

    assert network.settings == settings
    assert_equal(network, expected)
    assert card.part == "autoencoder"
    with pytest.raises(WeightsError, match=r"a stage-1 network \(autoencoder\), which cannot restore photos"):
        load_network(tmp_path / "model.ckpt", restores=True)


class Callback:
    """An object of the trainer, as Lightning files hold them."""

    def __init__(self) -> None:
        self.best = {"score": np.float64(0.5), "path": Path("x")}


def test_optimisers_and_callbacks_in_a_lightning_file_are_not_in_the_way(tmp_path):
    network = random_network(SMALL)
    moments = {"step": torch.tensor(2.0), "exp_avg": torch.ones(4), "exp_avg_sq": torch.ones(4)}
    content = {
        "state_dict": lightning_state(network),
        "optimizer_states": [{"state": {0: moments}, "param_groups": [{"lr": 1e-6, "params": [0]}]}],
        "lr_schedulers": [],
        "callbacks": {Callback: {"best_model_score": torch.tensor(0.5), "object": Callback()}},
        "hyper_parameters": Callback(),
    }
    torch.save(content, tmp_path / "last.ckpt")

    assert_equal(load_network(tmp_path / "last.ckpt")[0], network)


def test_full_size_files_are_recognised_from_their_released_keys(shared):
    with gzip.open(shared / "reference/ldm/official_keys.json.gz") as file:
        keys = json.load(file)
    for entry, shapes in keys.items():
        kind, name = entry.split("/")
        state = zero_stride(shapes)
        if name == "semantic_synthesis256":
            state |= zero_stride({"cond_stage_model.channel_mapper.weight": [3, 182, 1, 1]})

        found = read(state)

        assert (found.part, found.task) == ("denoiser" if kind == "ldm" else "autoencoder", name)
        assert found.settings == ROWS[name].settings.to_dict()


# Folders in diffusers' layout


@pytest.mark.parametrize(
    ("settings", "suffix"),
    [(SMALL, ".safetensors"), (SMALL, ".bin"), (KL, ".safetensors"), (RESIZING, ".safetensors")],
    ids=["vq", "vq in .bin", "kl", "resizing blocks"],
)
def test_a_folder_gives_the_network(tmp_path, settings, suffix):
    expected = random_network(settings)
    folder = write_diffusers_folder(tmp_path / "ldm", expected, suffix=suffix)

    network, card = load_network(folder)

    assert network.settings == expected.settings
    assert network.latent_scale.tolist() == ([0.25] * 4 if settings is KL else [1.0] * 3)
    assert_equal(network, expected, but=("latent_scale",))
    assert (card.name, card.part) == ("ldm", "denoiser")


def test_both_layouts_restore_the_same_pixels(tmp_path, folder):
    network, photo = random_network(SMALL), np.random.default_rng(0).random((16, 24, 3), np.float32)
    torch.save(lightning_state(network), tmp_path / "last.ckpt")

    first, second = (
        diffir.load(path, device="cpu", precision="fp32", steps=2).restore(photo)
        for path in (tmp_path / "last.ckpt", folder)
    )

    assert first.shape == (32, 48, 3)
    assert np.array_equal(first, second)


def test_names_of_early_versions_are_read_too(tmp_path):
    network = random_network(SMALL)
    folder = write_diffusers_folder(tmp_path / "ldm", network, suffix=".bin")
    early = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    for path in folder.glob("*/*.bin"):
        state = torch.load(path, weights_only=True)
        for now, before in early.items():
            state = {name.replace(now, before): tensor for name, tensor in state.items()}
        torch.save(state, path)

    assert_equal(load_network(folder)[0], network)


def test_the_names_of_a_denoiser_in_diffusers():
    names = denoiser_names(ROWS["bsr_sr"].settings.denoiser)
    expected = {
        "time_embed.2.bias": "time_embedding.linear_2.bias",
        "input_blocks.0.0.weight": "conv_in.weight",
        "input_blocks.3.0.op.weight": "down_blocks.0.downsamplers.0.conv.weight",
        "input_blocks.4.0.skip_connection.bias": "down_blocks.1.resnets.0.conv_shortcut.bias",
        "input_blocks.11.1.proj_out.weight": "down_blocks.3.attentions.1.to_out.0.weight",
        "middle_block.2.emb_layers.1.weight": "mid_block.resnets.1.time_emb_proj.weight",
        "output_blocks.2.2.conv.weight": "up_blocks.0.upsamplers.0.conv.weight",
        "output_blocks.5.1.conv.weight": "up_blocks.1.upsamplers.0.conv.weight",
        "output_blocks.11.0.out_layers.3.weight": "up_blocks.3.resnets.2.conv2.weight",
        "out.0.weight": "conv_norm_out.weight",
    }

    assert {name: names(name) for name in expected} == {name: (theirs,) for name, theirs in expected.items()}


def test_the_names_of_an_autoencoder_in_diffusers():
    names = autoencoder_names(levels=4)
    expected = {
        "encoder.norm_out.bias": "encoder.conv_norm_out.bias",
        "encoder.down.2.block.1.nin_shortcut.weight": "encoder.down_blocks.2.resnets.1.conv_shortcut.weight",
        "encoder.down.3.attn.0.q.weight": "encoder.down_blocks.3.attentions.0.to_q.weight",
        "encoder.down.0.downsample.conv.weight": "encoder.down_blocks.0.downsamplers.0.conv.weight",
        "decoder.mid.block_2.norm1.weight": "decoder.mid_block.resnets.1.norm1.weight",
        "decoder.mid.attn_1.norm.bias": "decoder.mid_block.attentions.0.group_norm.bias",
        "decoder.mid.attn_1.proj_out.bias": "decoder.mid_block.attentions.0.to_out.0.bias",
        "decoder.up.3.block.2.conv1.weight": "decoder.up_blocks.0.resnets.2.conv1.weight",
        "decoder.up.1.upsample.conv.bias": "decoder.up_blocks.2.upsamplers.0.conv.bias",
        "decoder.conv_out.weight": "decoder.conv_out.weight",
        "quantize.embedding.weight": "quantize.embedding.weight",
        "post_quant_conv.bias": "post_quant_conv.bias",
    }

    assert {name: names(name) for name in expected} == {name: (theirs,) for name, theirs in expected.items()}


def test_an_autoencoder_is_read_from_its_own_folder_and_from_a_folder_without_a_denoiser(tmp_path):
    expected = random_network(KL)
    folder = write_diffusers_folder(tmp_path / "ldm", expected)
    shutil.rmtree(folder / "unet")

    for place in (folder, folder / "vae"):
        network, card = load_network(place)
        assert_equal(network, expected.autoencoder)
        assert card.part == "autoencoder"


def change(folder: Path, file: str, **keys: object) -> None:
    config = json.loads((folder / file).read_text("utf-8"))
    (folder / file).write_text(json.dumps(config | keys), "utf-8")


@pytest.mark.parametrize(
    ("file", "keys", "reason"),
    [
        ("unet/config.json", {"freq_shift": 1}, "freq_shift is 1, and diffir's network is for 0"),
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "UNet2DConditionModel"),
        ("unet/config.json", {"block_out_channels": [32, 10**9]}, "multipliers must"),
        ("unet/config.json", {"block_out_channels": [32, 96]}, "and config.json asks for"),
        ("unet/config.json", {"layers_per_block": 2}, "is missing, which config.json asks for"),
        ("unet/config.json", {"layers_per_block": "2"}, "expected int, got '2'"),
        ("unet/config.json", {"block_out_channels": [32] * 3, "down_block_types": MIXED}, "some levels shrink by"),
        ("unet/config.json", {"out_channels": 4}, "the latent of vqvae has 3 channels"),
        ("unet/config.json", {"down_block_types": ["SkipDownBlock2D"]}, "is not known"),
        ("vqvae/config.json", {"num_vq_embeddings": 17}, r"quantize\.embedding\.weight is 16 x 3"),
        ("vqvae/config.json", {"mid_block_add_attention": False}, "is not a part of the network"),
        ("vqvae/config.json", {"norm_type": "spatial"}, "norm_type"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "linear"}, "beta_schedule"),
        ("scheduler/scheduler_config.json", {"beta_end": 2}, "betas need"),
    ],
)
def test_a_configuration_that_diffir_has_no_network_for_is_one_line(folder, file, keys, reason):
    change(folder, file, **keys)

    with pytest.raises(WeightsError, match=reason) as caught:
        load_network(folder)
    assert str(caught.value).count("ldm") >= 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "missing",
    [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vqvae/config.json",
        "scheduler/scheduler_config.json",
        "scheduler",
        "vqvae",
    ],
)
def test_a_missing_file_of_a_folder_is_named(folder, missing):
    shutil.rmtree(folder / missing) if (folder / missing).is_dir() else (folder / missing).unlink()

    with pytest.raises(WeightsError, match=missing if "." in missing else missing.split("/")[0]):
        load_network(folder)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"[" * 100_000, b"\xff", b" " * 1_000_001])
def test_a_damaged_configuration_is_one_line(folder, content):
    (folder / "unet/config.json").write_bytes(content)

    with pytest.raises(WeightsError, match=r"unet.config\.json (is not|is larger)") as caught:
        load_network(folder)
    assert len(str(caught.value)) < 400


def test_several_files_of_weights_without_the_usual_name_are_refused(folder):
    usual = folder / "unet/diffusion_pytorch_model.safetensors"
    usual.rename(usual.with_name("a.safetensors"))
    load_network(folder)
    shutil.copy(usual.with_name("a.safetensors"), usual.with_name("b.safetensors"))

    with pytest.raises(WeightsError, match=r"several files of weights: name one diffusion_pytorch_model\.safetensors"):
        load_network(folder)


def test_further_channels_without_a_meaning_are_refused(folder):
    (folder / "model_index.json").unlink()
    change(folder, "unet/config.json", attention_head_dim=32)  # so that it is in no row

    with pytest.raises(WeightsError, match="nothing tells what the 3 channels are"):
        load_network(folder)


def test_one_file_out_of_a_folder_is_answered_with_the_folder(folder):
    for part in ("unet", "vqvae"):
        with pytest.raises(WeightsError, match="give the folder that holds unet"):
            load_network(folder / part / "diffusion_pytorch_model.safetensors")
    with pytest.raises(WeightsError, match="give the folder that holds unet"):
        load_network(folder / "unet")


# Folders where files are accepted


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="is a folder in no layout that"):
        load_network(tmp_path)


def test_a_folder_without_a_slash_is_found_unless_a_name_of_the_catalogue_is_meant(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    network = random_network(SMALL)
    for name in ("denoise", "official_deblur"):
        shutil.copytree(folder, folder.parent / name)

    assert_equal(load_network("ldm")[0], network)
    assert_equal(load_network("./denoise")[0], network)
    assert load_network("denoise")[1].system == "diffir"
    with pytest.raises(WeightsError, match="official_deblur is not shipped"):
        load_network("official_deblur")
    with pytest.raises(UsageError, match="unknown model"):
        load_network("ldn")


def test_the_fingerprint_of_a_folder_depends_on_its_weights_and_settings_alone(folder):
    before = fingerprint(folder)
    (folder / "README.md").write_text("about", "utf-8")
    assert fingerprint(folder) == before

    change(folder, "scheduler/scheduler_config.json", beta_end=0.02)
    assert fingerprint(folder) != before


def test_diffir_convert_and_restore_take_a_folder(tmp_path, folder, capsys):
    photo = tmp_path / "photo.png"
    diffir.write(photo, np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8))

    assert main(["convert", str(folder), str(tmp_path / "small.safetensors"), "--fp32"]) == 0
    assert "small_sr" in capsys.readouterr().out
    results = []
    for weights in (folder, tmp_path / "small.safetensors"):
        target = tmp_path / f"{weights.stem}.png"
        flags = ["--model_path", str(weights), "--device", "cpu", "--fp32", "--steps", "2"]
        assert main(["restore", str(photo), "-o", str(target), *flags]) == 0
        results.append(diffir.read(target).pixels)

    assert np.array_equal(*results)


# diffusers as an oracle; it is not a dependency


def save_with_diffusers(diffusers, settings, folder):
    """Save random networks of diffusers with these settings; returns its autoencoder and its denoiser."""
    first, unet = settings.autoencoder, settings.denoiser
    levels = len(first.multipliers)
    kind = "Attn" if first.attention_factors else ""
    types = ["DownEncoderBlock2D"] * (levels - 1) + [f"{kind}DownEncoderBlock2D"]
    autoencoder = (diffusers.VQModel if first.regulariser == "vq" else diffusers.AutoencoderKL)(
        block_out_channels=(32, 64),
        latent_channels=first.latent_channels,
        down_block_types=types,
        up_block_types=[f"{kind}UpDecoderBlock2D"] + ["UpDecoderBlock2D"] * (levels - 1),
    )
    denoiser = diffusers.UNet2DModel(
        in_channels=first.latent_channels + settings.condition_channels,
        out_channels=first.latent_channels,
        block_out_channels=(32, 64),
        layers_per_block=unet.num_blocks,
        down_block_types=("ResnetDownsampleBlock2D" if unet.updown_blocks else "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D" if unet.updown_blocks else "UpBlock2D"),
        downsample_type="resnet" if unet.updown_blocks else "conv",
        upsample_type="resnet" if unet.updown_blocks else "conv",
        attention_head_dim=unet.head_channels,
    )
    for name, part in (("vqvae" if first.regulariser == "vq" else "vae", autoencoder), ("unet", denoiser)):
        part.eval().save_pretrained(folder / name)
    schedule = diffusers.DDIMScheduler(beta_start=0.0015, beta_end=0.0155, beta_schedule="scaled_linear")
    schedule.save_pretrained(folder / "scheduler")
    if settings.condition == ("image",):
        (folder / "model_index.json").write_text('{"_class_name": "LDMSuperResolutionPipeline"}', "utf-8")
    return autoencoder, denoiser


@pytest.mark.slow
@pytest.mark.parametrize("settings", [SMALL, KL, RESIZING], ids=["vq", "kl", "resizing blocks"])
@torch.no_grad()
def test_the_networks_of_diffusers_compute_the_same(tmp_path, settings):
    prepare_torchvision()  # diffusers imports it
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    autoencoder, denoiser = save_with_diffusers(diffusers, settings, tmp_path)
    first = settings.autoencoder

    network, _ = load_network(tmp_path)
    noisy, time = torch.randn(2, denoiser.config.in_channels, 8, 8), torch.tensor([10, 757])
    latents, images = noisy[:, : first.latent_channels], torch.rand(2, 3, 16, 16) * 2 - 1
    encoded = autoencoder.encode(images)

    assert torch.allclose(network.denoiser(noisy, time), denoiser(noisy, time).sample, atol=1e-5)
    assert torch.allclose(network.autoencoder.decode(latents), autoencoder.decode(latents).sample, atol=1e-5)
    expected = encoded.latents if first.regulariser == "vq" else encoded.latent_dist.mean
    assert torch.allclose(network.autoencoder.encode(images), expected, atol=1e-5)


@pytest.mark.slow
def test_building_a_large_codebook_without_memory_does_not_load_torch_s_compiler():
    program = (
        "import sys, torch; from diffir.systems.latent.regularise import Codebook\n"
        "with torch.device('meta'): Codebook(8192, 3)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ)).returncode == 0
