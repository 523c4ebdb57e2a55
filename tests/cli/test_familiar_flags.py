"""Flags that users of other programs type: they work, or are answered by one sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.cli.foreign_flags import ANSWERS
from diffir.cli.main import main
from diffir.cli.parser import make_parser, parse
from diffir.image_io import read_image, write_image
from diffir.near_names import nearest
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.manual_seed(0)
    settings = get_task("denoise_tiny").arch
    save_weights(tmp_path / "toy.safetensors", DiffIR(settings).state_dict(), card_of("toy", settings))
    return str(tmp_path / "toy.safetensors")


@pytest.fixture
def photo(tmp_path: Path) -> str:
    write_image(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (20, 33, 3), dtype=np.uint8))
    return str(tmp_path / "photo.png")


def parsed(*words: str):
    arguments = ["restore", *words]
    return parse(make_parser({"restore": "restore"}, arguments), arguments)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["-dn", "0.5"], "denoise_strength", 0.5),
        (["--denoise_strength", "0.5"], "denoise_strength", 0.5),
        (["-s", "1.5"], "outscale", 1.5),
        (["--outscale", "x3"], "outscale", 3.0),
        (["-f", "jpeg"], "ext", "jpg"),
        (["--format", "PNG"], "ext", "png"),
        (["--ext", ".tiff"], "ext", "tif"),
        (["--input_dir", "a", "-i", "b"], "input", ["a", "b"]),
        (["--result_dir", "out"], "output", "out"),
        (["-o", "out"], "output", "out"),
        (["--weights", "a.pth"], "model_path", Path("a.pth")),
        (["--gpu-id", "0,1"], "gpu_id", [0, 1]),
    ],
)
def test_flags_of_other_programs_work(words, name, value) -> None:
    assert getattr(parsed(*words), name) == value


@pytest.mark.parametrize("flag", ANSWERS)
@pytest.mark.parametrize("command", ["restore", "upscale", "denoise"])
def test_all_others_are_answered_by_one_sentence(command, flag, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "photo.png", flag, "1"])

    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error == f"diffir: {flag} is a flag of another program: {ANSWERS[flag]}; see diffir {command} --help\n"


@pytest.mark.parametrize("name", ["outscale", "face_enhance", "pre_pad", "j"])
def test_a_name_that_is_not_near_gets_no_hint(name) -> None:
    flags = [word.lstrip("-") for word in ("--tile", "--save_prior", "--recursive", "--seed", "--mask", "--json")]

    assert nearest(name, flags) is None


def test_any_size_and_quiet(photo, weights, tmp_path, capsys) -> None:
    common = ["--model_path", weights, "--device", "cpu"]

    assert main(["restore", photo, "-o", str(tmp_path / "out/"), "-s", "0.5", "-f", "jpeg", "-q", *common]) == 0

    assert capsys.readouterr() == ("", "")
    assert read_image(tmp_path / "out/photo.jpg").pixels.shape == (10, 16, 3)


def test_quiet_prints_failures_and_verbose_says_where_they_happened(weights, tmp_path, capsys) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n rest")
    common = [str(tmp_path / "bad.png"), "-o", str(tmp_path / "out/"), "--model_path", weights, "--device", "cpu"]

    assert main(["restore", "-q", *common]) == 1
    quiet = capsys.readouterr()
    assert main(["restore", "-v", *common]) == 1
    verbose = capsys.readouterr()

    assert quiet.out == ""
    assert quiet.err.count("\n") == 1
    assert "bad.png: damaged" in quiet.err
    assert "bad.png: damaged" in verbose.err


def test_verbose_names_skipped_files(photo, weights, tmp_path, capsys) -> None:
    common = [photo, "-o", str(tmp_path / "out/"), "--model_path", weights, "--device", "cpu", "--skip_existing"]
    assert main(["restore", *common]) == 0
    capsys.readouterr()

    assert main(["restore", "-v", *common]) == 0

    assert f"{photo} -> {tmp_path / 'out/photo.png'}  skipped (the result exists)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["https://example.org/a.png"],
        ["a.png", "-o", "s3://bucket/out/"],
        ["a.png", "--mask", "http://example.org/m.png"],
        ["a.png", "--model_path", "https://example.org/w.pth"],
    ],
)
def test_addresses_are_refused_by_name(words, capsys) -> None:
    try:
        code = main(["restore", *words])
    except SystemExit as stopped:
        code = stopped.code

    error = capsys.readouterr().err
    assert code == 2
    assert "://" in error
    assert "takes files only: " in error
    assert ("diffir fleet takes it" if "s3://" in error else "download it first") in error


@pytest.mark.parametrize("value", ["0", "-1", "65", "nan", "big"])
def test_a_factor_that_cannot_be_meant_is_refused(value, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "a.png", f"--outscale={value}"])

    assert "must be a factor above 0 and up to 64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "network"),
    [
        (["upscale"], "realesrgan_general_x4"),
        (["upscale", "-s", "2"], "realesrgan_general_x4"),
        (["upscale", "-n", "sr_x2"], "sr_x2"),
        (["denoise"], "denoise"),
        (["denoise", "-n", "photo"], "photo"),
    ],
)
def test_upscale_and_denoise_choose_their_network(photo, tmp_path, words, network, capsys) -> None:
    usual = {"realesrgan_general_x4": 4, "sr_x2": 2}.get(network, 1)
    factor = float(words[words.index("-s") + 1]) if "-s" in words else usual

    assert main([*words, photo, "-o", str(tmp_path / "out.png"), "--device", "cpu", "--strength", "0"]) == 0

    assert capsys.readouterr().out.startswith(f"model {network}")
    assert read_image(tmp_path / "out.png").pixels.shape[1] == round(33 * factor)


def test_shards_restore_every_file_once(weights, tmp_path, capsys) -> None:
    for number in range(5):
        write_image(tmp_path / f"in/{number}.png", np.zeros((8, 8, 3), np.uint8))
    common = ["restore", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model_path", weights, "--device", "cpu"]

    assert main([*common, "--shard", "1/2"]) == 0
    first = {path.name for path in (tmp_path / "out").iterdir()}
    assert main([*common, "--shard", "2/2"]) == 0

    assert first == {"0.png", "2.png", "4.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{number}.png" for number in range(5)}
    assert main([*common, "--shard", "6/6"]) == 0
    assert "0 restored" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*common, "--shard", "3/2"])
    assert "must be a part and the number of parts" in capsys.readouterr().err
