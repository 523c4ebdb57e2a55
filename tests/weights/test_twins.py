"""A file of weights with a weaker twin: -dn mixes both networks, and no command loses one of them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import diffir
from diffir.api import card_of_source
from diffir.cli.main import main
from diffir.cli.parser import make_parser, parse
from diffir.cli.restore import load_options
from diffir.errors import ConfigError, UsageError, WeightsError
from diffir.image_io import read_image, write_image
from diffir.systems import SYSTEMS
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from diffir.systems.realesrgan.settings import CompactSettings
from diffir.weights.card import Score, WeightsCard
from diffir.weights.catalogue import catalogue
from diffir.weights.fingerprint import fingerprint
from diffir.weights.published import read_published, save_published
from diffir.weights.twins import joined
from tests.diffir_objects import card_of
from tests.foreign_networks import compact

PHOTO = np.random.default_rng(0).random((20, 30, 3), np.float32)
WITH_TWINS = ("realesrgan_general_x4", "realsr_x4")


def of_diffir(seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return DiffIR(get_task("denoise_tiny").arch).state_dict()


def of_realesrgan(seed: int) -> dict[str, Tensor]:
    return compact(seed=seed)


CARDS = {
    of_diffir: card_of("one", get_task("denoise_tiny").arch),
    of_realesrgan: WeightsCard("one", CompactSettings(8, 2, 2).to_dict(), "network", "realesrgan"),
}


def saved(path: Path, state: Mapping[str, Tensor], card: WeightsCard) -> Path:
    save_published(path, state, card, SYSTEMS[card.system], dtype=torch.float32)
    return path


def result(path: Path, **options: float) -> np.ndarray:
    return diffir.load(path, device="cpu", precision="fp32", **options).restore(PHOTO)


@pytest.fixture(params=[of_diffir, of_realesrgan], ids=["diffir", "realesrgan"])
def make(request):
    return request.param


@pytest.fixture
def twins(make, tmp_path: Path) -> Path:
    card = replace(CARDS[make], denoise_strength=0.25)
    return saved(tmp_path / "twins.safetensors", joined(make(0), make(1)), card)


def one_network(tmp_path: Path, make, state: Mapping[str, Tensor]) -> np.ndarray:
    return result(saved(tmp_path / "alone.safetensors", state, CARDS[make]))


def test_the_strength_goes_from_the_twin_to_the_network(make, twins: Path, tmp_path: Path) -> None:
    strong, weak = make(0), make(1)
    quarter = {name: 0.25 * strong[name] + 0.75 * weak[name] for name in strong}

    assert np.array_equal(result(twins, denoise_strength=1), one_network(tmp_path, make, strong))
    assert np.array_equal(result(twins, denoise_strength=0), one_network(tmp_path, make, weak))
    assert result(twins, denoise_strength=0.25) == pytest.approx(one_network(tmp_path, make, quarter), abs=1e-5)
    assert not np.allclose(result(twins, denoise_strength=0), result(twins, denoise_strength=1))


def test_without_a_strength_that_of_the_card_is_used_and_named(twins: Path) -> None:
    assert np.array_equal(result(twins), result(twins, denoise_strength=0.25))
    assert diffir.load(twins, device="cpu").in_use()["denoise_strength"] == 0.25
    assert "denoise_strength" not in diffir.load("denoise", device="cpu").in_use()


def test_minus_dn_is_the_strength_of_networks_without_a_twin(twins: Path, tmp_path: Path, capsys) -> None:
    photo = tmp_path / "photo.png"
    write_image(photo, np.random.default_rng(0).integers(0, 256, (20, 33, 3), dtype=np.uint8))
    common = ["restore", str(photo), "--device", "cpu", "-o"]

    assert main([*common, f"{tmp_path}/a.png", "--model_path", str(twins), "-dn", "0.75"]) == 0
    assert "denoise strength 0.75" in capsys.readouterr().out
    assert main([*common, f"{tmp_path}/b.png", "-n", "denoise", "-dn", "0.75"]) == 0
    said = capsys.readouterr().out
    assert ", strength 0.75" in said and "denoise strength" not in said
    assert main([*common, f"{tmp_path}/c.png", "-n", "denoise", "-dn", "0"]) == 0
    assert np.array_equal(read_image(tmp_path / "c.png").pixels, read_image(photo).pixels)


def test_a_strength_that_cannot_be_meant_is_refused_in_one_line(twins: Path, capsys) -> None:
    assert main(["restore", "a.png", "--model_path", str(twins), "-dn", "2"]) == 2
    assert capsys.readouterr().err == "diffir: denoise_strength must lie in [0, 1], got 2\n"
    with pytest.raises(UsageError, match=r"denoise_strength mixes two networks, and .*denoise\.safetensors holds one"):
        diffir.load("denoise", denoise_strength=0.5)
    with pytest.raises(UsageError, match="no file of this chain has two"):
        diffir.load("denoise,photo", denoise_strength=0.5)


def test_a_chain_hands_it_to_the_members_that_have_a_twin(twins: Path) -> None:
    chain = diffir.load(f"denoise,{twins}", device="cpu", denoise_strength=0.5)

    assert [member.in_use().get("denoise_strength") for member in chain.members] == [None, 0.5]


@pytest.mark.parametrize("make", [of_diffir], indirect=True)
def test_eval_measures_the_mix_that_it_is_asked_for(twins: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "set/a.png", np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    command = ["eval", "-n", str(twins), "-d", f"{tmp_path}/set", "--metrics", "psnr", "--cache", f"{tmp_path}/cache"]
    command += ["--device", "cpu", "--sigma", "25"]

    found = []
    for strength in (0.0, 1.0):
        assert main([*command, "-dn", str(strength), "--json", f"{tmp_path}/scores.json"]) == 0
        (row,) = json.loads((tmp_path / "scores.json").read_text("utf-8"))["results"]
        assert row["network"]["denoise_strength"] == strength
        found.append(row["scores"]["psnr"]["mean"])
    assert found[0] != found[1]


def test_convert_joins_two_files_and_keeps_both_afterwards(make, twins: Path, tmp_path: Path) -> None:
    strong = saved(tmp_path / "strong.safetensors", make(0), CARDS[make])
    weak = saved(tmp_path / "weak.safetensors", make(1), CARDS[make])
    made, again = tmp_path / "made.safetensors", tmp_path / "again.safetensors"

    assert main(["convert", str(strong), str(made), "--weak_twin", str(weak), "--fp32"]) == 0
    assert main(["convert", str(made), str(again), "-dn", "0.25", "--fp32"]) == 0

    assert read_published(made)[1].denoise_strength == 1
    assert np.array_equal(result(made), one_network(tmp_path, make, make(0)))
    assert np.array_equal(result(again), result(twins))
    assert read_published(again)[0].keys() == read_published(twins)[0].keys()


def test_convert_refuses_what_makes_no_sense_for_twins(make, twins: Path, tmp_path: Path, capsys) -> None:
    alone = saved(tmp_path / "alone.safetensors", make(0), CARDS[make])
    another = next(one for one in CARDS if one is not make)
    other = saved(tmp_path / "other.safetensors", another(0), CARDS[another])
    target = str(tmp_path / "out.safetensors")

    for words, complaint in (
        (["-dn", "0.5"], "--denoise_strength is for weights with a weaker twin"),
        (["--weak_twin", str(other)], f"and the part {CARDS[make].part} is needed"),
        (["--weak_twin", str(alone), "-dn", "nan"], "denoise_strength must lie in [0, 1]"),
    ):
        assert main(["convert", str(alone), target, *words]) in (1, 2)
        error = capsys.readouterr().err
        assert complaint in error and error.count("\n") == 1
    assert not Path(target).exists()


def test_scores_of_another_mix_are_not_kept(make, twins: Path, tmp_path: Path) -> None:
    score = Score("set5", "psnr", 30.0)
    state, card = read_published(twins)
    measured = saved(tmp_path / "measured.safetensors", state, replace(card, scores=(score,), headline="set5"))
    same, other = tmp_path / "same.safetensors", tmp_path / "other.safetensors"

    assert main(["convert", str(measured), str(same)]) == 0
    assert main(["convert", str(measured), str(other), "-dn", "0.5"]) == 0

    assert read_published(same)[1].scores == (score,)
    assert (read_published(other)[1].scores, read_published(other)[1].headline) == ((), "")


def test_joining_twins_again_would_lose_one_of_them(twins: Path, tmp_path: Path, capsys) -> None:
    assert main(["convert", str(twins), str(tmp_path / "out.safetensors"), "--weak_twin", str(twins)]) == 2
    assert "holds a network and its weaker twin already" in capsys.readouterr().err


def test_a_network_for_each_photo_and_a_mix_exclude_each_other(capsys) -> None:
    assert main(["restore", "datasets/samples/clean", "-n", "auto", "-dn", "0", "--dry_run"]) == 2
    assert "-dn needs a network that you name" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["input", "denoise", "denoise+photo"])
def test_eval_refuses_a_mix_that_no_method_has(method: str, capsys) -> None:
    assert main(["eval", "-n", method, "-d", "datasets/samples/clean", "--sigma", "25", "-dn", "0.5"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and ("denoise_strength is for" in error or "-dn mixes" in error)


def test_a_file_of_ones_own_says_that_it_has_a_twin(twins: Path, capsys) -> None:
    assert main(["models", str(twins)]) == 0
    assert "from 0 (the twin) to 1 (usual: 0.25)" in capsys.readouterr().out


def test_a_card_with_a_strength_that_cannot_be_meant_is_refused(make) -> None:
    with pytest.raises(ConfigError, match=r"denoise_strength must lie in \[0, 1\]"):
        replace(CARDS[make], denoise_strength=7.0)


def test_a_run_without_the_flag_has_the_options_that_it_had_before_there_were_twins() -> None:
    arguments = ["restore", "a.png", "-n", "denoise"]
    args = parse(make_parser({"restore": "restore"}, arguments), arguments)

    assert "denoise_strength" not in load_options(args, [card_of_source("denoise")])  # ledgers of fleets compare them


def test_a_twin_has_the_settings_of_the_network(tmp_path: Path, capsys) -> None:
    assert main(["convert", "photo", str(tmp_path / "out.safetensors"), "--weak_twin", "lowlight"]) == 2
    assert "lowlight is another network than photo: their settings differ" in capsys.readouterr().err


def test_a_twin_that_lacks_a_tensor_is_named(make, twins: Path) -> None:
    state, card = read_published(twins)
    first = next(name for name in state if name.startswith("weak."))
    with pytest.raises(WeightsError, match="is missing"):
        saved(twins.with_name("bad.safetensors"), {k: v for k, v in state.items() if k != first}, card)


def test_files_without_a_twin_are_not_touched_by_the_field(make, tmp_path: Path) -> None:
    assert b"denoise_strength" not in CARDS[make].to_description()
    files = [tmp_path / "0.safetensors", tmp_path / "1.safetensors"]
    for usual, file in enumerate(files):
        saved(file, joined(make(0), make(1)), replace(CARDS[make], denoise_strength=float(usual)))
    assert fingerprint(files[0]) != fingerprint(files[1])


def test_weights_that_another_program_saved_again_keep_their_twin(make, twins: Path) -> None:
    from safetensors.torch import load_file, save_file

    before = result(twins)
    save_file(load_file(twins), twins)  # without the metadata

    assert np.array_equal(result(twins), before)


@pytest.mark.parametrize("name", WITH_TWINS)
def test_shipped_networks_with_a_twin_say_so(name: str, capsys) -> None:
    entry = catalogue(SYSTEMS)[name]
    network = SYSTEMS[entry.card.system].build(entry.card.settings, entry.card.part)

    assert main(["models", name]) == 0
    assert "restore -dn mixes both" in capsys.readouterr().out
    assert entry.parameters == sum(tensor.numel() for tensor in network.parameters())
