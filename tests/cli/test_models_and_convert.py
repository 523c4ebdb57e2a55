"""The commands ``diffir models`` and ``diffir convert``."""

import json
import subprocess
import sys

import pytest
import torch

from diffir.api import load_network
from diffir.cli.main import main
from diffir.config import NetworkConfig
from diffir.inference.prior_file import save_prior
from diffir.systems import SYSTEMS
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.tasks import TASKS
from diffir.weights import catalogue as catalogue_module
from diffir.weights.card import Score
from diffir.weights.fit import empty_network
from diffir.weights.header import read_header
from tests.diffir_objects import card_of, save_weights

TINY = ArchSettings(dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, cpen_blocks=1, prior_width=32)


@pytest.fixture
def published(tmp_path):
    card = card_of(
        "mine",
        TINY,
        task="deblur",
        summary="a toy",
        training={"train": {"steps": 3}},
        data="two photos",
        licence="CC0-1.0",
        scores=(Score("Set14", "psnr", 31.234, "RGB, crop_border 0", "sigma 25"),),
    )
    save_weights(tmp_path / "mine.safetensors", DiffIR(TINY, 2).state_dict(), card)
    return tmp_path / "mine.safetensors"


def test_models_lists_every_official_row(capsys):
    assert main(["models"]) == 0

    text = capsys.readouterr().out
    for name, task in TASKS.items():
        assert (f"official_{name}" in text) == task.official
    assert "https://github.com/Zj-BinXia/DiffIR" in text
    assert "PSNR" not in text  # scores belong to the details, where each one names its degradation


def test_the_details_of_a_model_show_its_scores(capsys):
    assert main(["models", "official_deblur"]) == 0

    assert "GoPro: PSNR 33.20 dB (8-bit RGB, crop_border 0, MATLAB, published)" in capsys.readouterr().out


def test_a_published_ssim_does_not_claim_the_protocol_that_diffir_measures_with(capsys):
    assert main(["models", "official_deblur"]) == 0

    text = capsys.readouterr().out
    assert text.count("as one volume, 11 x 11 x 11 window, borders replicated, MATLAB, published") == 2


def test_every_published_number_says_how_it_was_taken():
    scores = [
        score for entry in catalogue_module.catalogue(SYSTEMS).values() for score in entry.scores if score.published
    ]

    assert len(scores) == 20
    assert all(score.protocol for score in scores)


def test_a_shipped_file_appears_with_all_its_facts(published, monkeypatch, capsys):
    monkeypatch.setattr(catalogue_module.catalogue, "__defaults__", (published.parent,))

    assert main(["models", "mine"]) == 0

    text = capsys.readouterr().out
    for fact in ("a toy", "deblur", "train.steps 3", "two photos", "CC0-1.0", "Set14 sigma 25: PSNR 31.23 dB", "dim 8"):
        assert fact in text


@pytest.mark.parametrize(
    ("name", "headline", "conditions", "expected"),
    [
        ("mine", "Set5 sigma 50", ["recipe photo", "sigma 25", "sigma 50"], "sigma 50"),
        ("photo", "", ["recipe deblur", "recipe photo", "sigma 25"], "recipe photo"),
        ("jpeg", "", ["recipe photo", "sigma 25", "JPEG 10"], "JPEG 10"),
        ("denoise", "", ["recipe photo", "sigma 25"], "sigma 25"),
        ("mine", "", ["recipe photo"], "recipe photo"),
    ],
)
def test_the_headline_of_a_card_is_not_a_score_of_another_task(name, headline, conditions, expected):
    scores = tuple(Score("Set5", "psnr", 30.0, "", condition) for condition in conditions)

    assert card_of(name, TINY, headline=headline, scores=scores).headline_score.condition == expected
    assert card_of(name, TINY).headline_score is None


def test_the_details_of_shipped_weights_begin_with_their_headline(capsys):
    for name, condition in (("photo", "recipe photo"), ("denoise", "sigma"), ("deblur", "recipe deblur")):
        assert main(["models", name]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("headline"))
        assert condition in line


def test_models_as_json_can_be_read_by_programs(published, monkeypatch, capsys):
    monkeypatch.setattr(catalogue_module.catalogue, "__defaults__", (published.parent,))

    assert main(["models", "--json"]) == 0

    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mine"]["shipped"] and rows["mine"]["card"]["settings"]["dim"] == 8
    assert rows["official_sr_x4"]["scale"] == 4 and not rows["official_sr_x4"]["shipped"]


def test_the_catalogue_counts_parameters_as_the_networks_do():
    for system in SYSTEMS.values():
        for row in system.released_rows():
            settings = system.row(NetworkConfig(row.task)).settings
            network = empty_network(system, settings, system.restoring_part, row.name)

            assert row.parameters == sum(p.numel() for p in network.parameters())
            assert row.facts == system.facts(settings)


def test_models_needs_no_torch():
    code = "import sys; from diffir.cli.main import main; main(['models']); sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_an_unknown_model_is_wrong_usage(capsys):
    assert main(["models", "official_deblurr"]) == 2
    assert "did you mean official_deblur" in capsys.readouterr().err


def test_a_saved_prior_is_folded_into_the_weights(published, tmp_path, capsys):
    network = load_network(published)[0]
    priors = torch.rand(2, 32)
    for number, prior in enumerate(priors):
        save_prior(tmp_path / f"{number}.safetensors", prior[None], "mine")
    files = [str(tmp_path / f"{number}.safetensors") for number in range(2)]

    assert main(["convert", str(published), str(tmp_path / "fast.safetensors"), "--fp32", "--fold_prior", *files]) == 0

    folded, card = load_network(tmp_path / "fast.safetensors")
    lq = torch.rand(1, 3, 32, 32)
    assert (card.settings["prior_width"], card.scores) == (0, ())
    assert "a fixed prior, the mean of 2" in card.notes
    torch.testing.assert_close(folded(lq), network.restore(lq, priors.mean(dim=0)[None]), atol=1e-4, rtol=0)
    again = ["convert", str(tmp_path / "fast.safetensors"), str(tmp_path / "b.safetensors"), "--fold_prior", files[0]]
    assert main(again) == 2
    assert "is a prior of mine, which fast cannot use" in capsys.readouterr().err


def test_convert_says_what_it_wrote_in_one_line(published, tmp_path, capsys):
    target = tmp_path / "small.safetensors"

    assert main(["convert", str(published), str(target), "--precision", "bf16", "--licence", "MIT"]) == 0

    line = capsys.readouterr().out
    parameters = sum(p.numel() for p in DiffIR(TINY, 2).parameters())
    assert line.startswith(f"{target}: task deblur, stage 2, {parameters:,} parameters, ") and line.endswith(" bf16\n")
    assert set(read_header(target).dtypes.values()) == {"BF16"}
    assert (load_network(target)[1].name, load_network(target)[1].licence) == ("small", "MIT")


@pytest.mark.parametrize(("flags", "dtype"), [([], "F16"), (["--fp32"], "F32"), (["--precision", "fp32"], "F32")])
def test_storage_is_half_precision_unless_asked(published, tmp_path, flags, dtype):
    assert main(["convert", str(published), str(tmp_path / "new.safetensors"), *flags]) == 0

    assert set(read_header(tmp_path / "new.safetensors").dtypes.values()) == {dtype}


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["IN", "out.pth"], "must end in .safetensors", 2),
        (["IN", "out.safetensors", "--task", "sr_x4"], "is not that of sr_x4", 2),
        (["IN", "out.safetensors", "--task", "deblurr"], "unknown task", 2),
        (["nowhere.pth", "out.safetensors"], "no such weights file", 2),
        (["BAD", "out.safetensors"], "is not a checkpoint", 1),
    ],
)
def test_a_file_that_cannot_be_converted_gives_one_line(published, tmp_path, capsys, arguments, said, code):
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    names = {"IN": str(published), "BAD": str(tmp_path / "bad.pth"), "out.safetensors": str(tmp_path / "o.safetensors")}

    assert main(["convert", *(names.get(argument, argument) for argument in arguments)]) == code

    assert said in capsys.readouterr().err
    assert not (tmp_path / "o.safetensors").exists()


@pytest.mark.slow
def test_a_full_size_checkpoint_converts_and_names_the_rows_it_fits(tmp_path, capsys):
    torch.manual_seed(0)
    card = card_of("big", TASKS["sr_x4"].arch, task="sr_x4")
    save_weights(tmp_path / "a.safetensors", DiffIR(TASKS["sr_x4"].arch, 2).state_dict(), card)

    assert main(["convert", str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")]) == 0

    assert "task sr_x4 (or realsr_x4: choose with --task), stage 2, 24,971,206" in capsys.readouterr().out


def test_weights_that_diffir_trained_name_their_task_and_no_other(tmp_path, capsys):
    assert main(["convert", "photo", str(tmp_path / "photo.safetensors")]) == 0

    said = capsys.readouterr().out
    assert "task photo_small, stage 2" in said and "choose with --task" not in said
