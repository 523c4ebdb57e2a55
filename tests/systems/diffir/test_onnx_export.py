"""Networks as ONNX graphs: they compute what diffir computes, in the script beside them and as the engine onnx."""

import importlib.util
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.api import load, restorer_of
from diffir.cli.main import main
from diffir.errors import MissingDependency, UsageError
from diffir.inference.source import Source
from diffir.systems import SYSTEMS
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.engine.attention import Windows
from diffir.systems.diffir.engine.graphs import RestorerGraph as GraphOnDisk
from diffir.systems.diffir.engine.memory import tile_of_graph
from diffir.systems.diffir.onnx_export import export
from diffir.systems.diffir.onnx_graphs import PriorGraph, RestorerGraph
from diffir.thumbnail import thumbnail
from diffir.weights.catalogue import catalogue

needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))), reason="onnx is not installed"
)
SHIPPED = [entry.name for entry in catalogue(SYSTEMS).values() if entry.card and entry.card.system == "diffir"]
PHOTO = np.random.default_rng(0).random((53, 78, 3), np.float32)  # not of the size that is traced
MASK = np.zeros((53, 78), np.float32)
MASK[5:9, 10:60] = 1
WITHOUT_TORCH = """
import runpy, sys, numpy
sys.modules["torch"] = sys.modules["diffir"] = sys.modules["PIL"] = None
script, target, *sources = sys.argv[1:]
numpy.save(target, runpy.run_path(script)["restore"](*map(numpy.load, sources)))
"""


def network_with(**settings) -> DiffIR:
    torch.manual_seed(0)
    small = {"dim": 8, "num_blocks": (1, 1, 1, 1), "num_refinement_blocks": 1, "prior_width": 16, "cpen_blocks": 1}
    return DiffIR(ArchSettings(**small, **settings)).eval().requires_grad_(False)


HOLES = {"in_channels": 4, "hole_fill": "membrane", "unshuffle": 2, "upsample": 2}
WHOLE = {"prior_view": "whole", "prior_thumbnail": 16}


# The modules that are traced, without ONNX


@pytest.mark.parametrize("sides", [(1, 1), (8, 8), (3, 40), (41, 70)])
@pytest.mark.parametrize("settings", [{}, HOLES, {**HOLES, "hole_fill": "zeros"}, WHOLE], ids=str)
@torch.no_grad()
def test_a_photo_is_prepared_and_its_prior_estimated_as_diffir_does(sides: tuple[int, int], settings: dict) -> None:
    network, generator = network_with(**settings), np.random.default_rng(1)
    image, noise = generator.random((*sides, 3), np.float32), torch.randn(1, 16)
    mask = (generator.random(sides) > 0.7).astype(np.float32)
    masks = [mask] if network.settings.has_mask else []
    source = Source.whole(image[None], mask[None] if masks else None, network.settings.facts)
    expected = source.rows(0, source.height)

    prior, lq = PriorGraph(network, noise)(*map(torch.from_numpy, (image, *masks)))

    seen = thumbnail(expected, 16) if network.settings.thumbnail else expected
    condition = network.cpen(torch.nn.functional.pixel_unshuffle(seen, network.settings.prior_unshuffle))
    assert torch.allclose(lq, expected, atol=1e-6)
    assert torch.allclose(prior, network.denoise_prior(noise, condition)[-1], atol=1e-5)


@pytest.mark.parametrize("sides", [(8, 8), (64, 104)])
@torch.no_grad()
def test_windows_in_the_graph_are_those_of_the_engine(sides: tuple[int, int]) -> None:
    network, image, prior = network_with(), torch.rand(1, 3, *sides), torch.randn(1, 16)
    ours = restorer_of(network, device="cpu", precision="fp32", engine="torch", stats="local", patch=48, tile=-1)

    restored = RestorerGraph(network, Windows.for_patch(48, 8)).eval()(image, prior)

    assert torch.allclose(restored, ours.restore_tensor(image, prior=prior), atol=1e-5)


@torch.no_grad()
def test_sums_of_the_whole_photo_can_be_given_to_its_parts() -> None:
    network, image, prior = network_with(), torch.rand(1, 3, 32, 48), torch.randn(1, 16)
    graph = RestorerGraph(network, None).eval()
    own, sums = graph(image, prior, torch.zeros(graph.sums_width), torch.zeros(1))

    again, _ = graph(image, prior, sums, torch.ones(1))
    other, _ = graph(image, prior, sums / 2 + 1, torch.ones(1))

    assert torch.allclose(own, network.dirformer(image, prior), atol=1e-5)
    assert torch.equal(own, again)
    assert not torch.allclose(own, other, atol=1e-3)


@pytest.mark.parametrize("free", [2**28, 2**31, 2**40])
def test_a_photo_is_cut_into_tiles_only_where_its_graph_would_not_fit(free: int) -> None:
    settings = ArchSettings(dim=24, unshuffle=2, upsample=2)

    side = tile_of_graph(free, settings, 20_000, 20_000)

    assert side is not None
    assert tile_of_graph(free, settings, side, side) is None
    assert tile_of_graph(free, settings, 2 * side, 2 * side) == side
    assert side**2 * 2_400 <= 2**32  # bytes a pixel, as measured


# Graphs in onnxruntime


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_script_gives_our_result_with_numpy_and_onnxruntime_alone(tmp_path: Path, name: str) -> None:
    ours = load(name, device="cpu", precision="fp32", engine="torch", tile=-1)
    ours.facts = replace(ours.facts, tone_side=0)  # the script restores the photo itself, not a small copy
    masks = [MASK] if ours.has_mask else []
    for number, array in enumerate([PHOTO, *masks]):
        np.save(tmp_path / f"{number}.npy", array)

    assert main(["export", name, "--onnx", str(tmp_path / "out")]) == 0
    files = [str(tmp_path / "result.npy"), str(tmp_path / "0.npy"), *([str(tmp_path / "1.npy")] if masks else [])]
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(tmp_path / "out/restore.py"), *files], check=True)

    assert np.load(tmp_path / "result.npy") == pytest.approx(ours.restore(PHOTO, *masks), abs=1e-5)


@needs_onnx
@pytest.mark.slow
@torch.no_grad()
def test_one_graph_with_windows_serves_photos_of_all_sizes(tmp_path: Path) -> None:
    """A size that the exporter took for a constant would show on photos with fewer or more windows."""
    network, windows = network_with(), Windows.for_patch(48, 8)
    export(network, {"name": "small"}, tmp_path, windows)
    graph, plain = GraphOnDisk(tmp_path / "restorer.onnx"), RestorerGraph(network, windows).eval()
    prior = torch.randn(1, 16)

    for sides in ((8, 8), (16, 304), (136, 16), (96, 104)):
        lq = torch.rand(1, 3, *sides)
        assert torch.allclose(graph(lq, prior)[0], plain(lq, prior), atol=1e-6)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[DiffIR, Path]:
    """A small network that fills holes, and the folder with its graphs."""
    network, folder = network_with(**HOLES), tmp_path_factory.mktemp("graphs")
    export(network, {"name": "small"}, folder)
    return network, folder


@needs_onnx
@pytest.mark.slow
def test_the_graphs_hold_what_is_needed_to_run_them(written: tuple[DiffIR, Path]) -> None:
    import onnx

    network, folder = written
    graph = onnx.load(folder / "prior.onnx")
    facts = json.loads({entry.key: entry.value for entry in graph.metadata_props}["diffir"])

    assert graph.opset_import[0].version == 18
    assert [entry.name for entry in graph.graph.input] == ["image", "mask"]
    assert facts["settings"] == network.settings.to_dict()
    assert facts["schedule"]["betas"] == list(network.schedule.betas)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"tile": 32, "tile_overlap": 8}, {"tile": 32, "stats": "tile"}, {"tta": True}, {"seed": 3}], ids=str
)
def test_the_engine_onnx_gives_the_result_of_torch(written: tuple[DiffIR, Path], options: dict) -> None:
    network, folder = written
    options = {"device": "cpu", "precision": "fp32", **options}
    by_torch = restorer_of(network, engine="torch", **options)
    by_onnx = restorer_of(network, engine="onnx", graphs=str(folder), **options)
    photos, masks = [PHOTO, PHOTO[::-1].copy()], [MASK, MASK[::-1].copy()]

    assert by_onnx.in_use()["engine"] == "onnx"
    assert np.stack(by_onnx.restore_batch(photos, masks)) == pytest.approx(
        np.stack(by_torch.restore_batch(photos, masks)), abs=1e-5
    )
    given = torch.randn(1, 16, generator=torch.Generator().manual_seed(5))
    found = pickle.loads(pickle.dumps(by_onnx)).restore(PHOTO, MASK, prior=given)
    assert found == pytest.approx(by_torch.restore(PHOTO, MASK, prior=given), abs=1e-5)


@needs_onnx
@pytest.mark.slow
def test_graphs_are_written_into_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFIR_CACHE", str(tmp_path))
    network = network_with()
    first = restorer_of(network, device="cpu", engine="onnx").restore(PHOTO)
    monkeypatch.setattr("diffir.systems.diffir.onnx_export.export", None)

    assert np.array_equal(restorer_of(network, device="cpu", engine="onnx").restore(PHOTO), first)
    assert [path.name for path in next((tmp_path / "onnx").iterdir()).glob("*.onnx")]
    assert len(list((tmp_path / "onnx").iterdir())) == 1


@needs_onnx
@pytest.mark.slow
def test_graphs_of_other_weights_are_refused(written: tuple[DiffIR, Path]) -> None:
    network = network_with(**HOLES)
    network.cpen.head.weight[0] += 1

    with pytest.raises(UsageError, match="is of other weights, statistics or versions"):
        restorer_of(network, device="cpu", engine="onnx", graphs=str(written[1]))


# What is refused


@needs_onnx
def test_what_the_engine_onnx_cannot_do_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_with()
    for options, message in (
        ({"precision": "bf16"}, "engine onnx computes in fp32, not in bf16"),
        ({"graphs": str(tmp_path)}, r"restorer\.onnx is missing: write it with diffir export"),
        ({"engine": "torch", "graphs": "x"}, "graphs are for engine onnx"),
    ):
        with pytest.raises(UsageError, match=message):
            restorer_of(network, **{"device": "cpu", "engine": "onnx", **options})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="engine onnx needs the package 'onnxruntime'"):
        restorer_of(network, device="cpu", engine="onnx")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "ldm_sr_x4", "--onnx", "out"], "networks of the system latent cannot be exported to ONNX"),
        (["restore", "photo.png", "-n", "ldm_sr_x4", "--engine", "onnx"], "--engine is no option of latent networks"),
        (["export", "ldm_sr_x4", "--onnx", "out", "--stats", "local"], "--stats is no option of latent networks"),
    ],
)
def test_what_has_no_graphs_is_one_line(words: list[str], message: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(
        [sys.executable, "-c", "from PIL import Image; Image.new('RGB', (9, 9)).save('photo.png')"], check=True
    )

    assert main(words) == 2
    assert message in capsys.readouterr().err
