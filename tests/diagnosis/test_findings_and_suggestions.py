"""Damage of the recipes is recognised, undamaged photos are left alone, and only networks that ship are suggested."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffir.degradations.recipes import build_recipe, degrade_image
from diffir.diagnosis import Diagnosis, Finding, diagnose, suggest
from diffir.diagnosis.suggestions import LEAVE, NO_NETWORK, ROWS, named_networks
from diffir.image_io import read_image
from diffir.pixels import to_kind
from diffir.systems import SYSTEMS
from diffir.weights.catalogue import catalogue

SAMPLES = Path(__file__).resolve().parents[2] / "datasets/samples"
SHIPPED = {entry.name for entry in catalogue(SYSTEMS).values() if entry.shipped}


def sample(name: str) -> np.ndarray:
    return read_image(SAMPLES / name).pixels


def damaged(*steps: dict[str, Any]) -> np.ndarray:
    recipe = build_recipe([*steps, {"type": "quantize"}])
    return to_kind(degrade_image(sample("clean/houses.png"), recipe, 1), np.uint8)


def with_faults(*names: Any, jpeg_quality: int | None = None) -> Diagnosis:
    figures = replace(diagnose(np.zeros((8, 8, 3), np.uint8)).figures, jpeg_quality=jpeg_quality)
    return Diagnosis(figures, tuple(Finding(name, name) for name in names))


@pytest.mark.parametrize(
    "name", ["clean/houses.png", "clean/lighthouse.png", "clean/parrots.png", "train/facade.jpg", "train/meadow.jpg"]
)
def test_an_undamaged_photo_has_no_findings(name: str) -> None:
    assert diagnose(sample(name)).findings == ()


@pytest.mark.parametrize(
    ("steps", "faults"),
    [
        ([{"type": "gaussian_noise", "sigma": [8, 8]}], {"noise"}),
        ([{"type": "gaussian_noise", "sigma": [25, 25]}], {"noise", "strong noise"}),
        ([{"type": "jpeg", "quality": [30, 30]}], {"JPEG"}),
        ([{"type": "gaussian_noise", "sigma": [15, 15]}, {"type": "jpeg", "quality": [60, 60]}], {"noise", "JPEG"}),
        ([{"type": "blur", "sigma": [2, 2], "kernel_size": [15, 15], "kinds": {"iso": 1}}], {"soft"}),
        ([{"type": "low_light", "stops": [3, 3]}], {"dark"}),
        ([{"type": "backlight", "stops": [4, 4]}], {"backlit"}),
        ([{"type": "haze", "beta": [2, 2], "patchiness": [0.4, 0.4]}], {"hazy"}),
        ([{"type": "fading", "density": [0.5, 0.5], "yellow": [0.3, 0.3], "monochrome_prob": 0.0}], {"faded"}),
    ],
)
def test_damage_is_recognised(steps: list[dict[str, Any]], faults: set[str]) -> None:
    assert diagnose(damaged(*steps)).faults == faults


def test_the_tables_of_a_jpeg_tell_of_compression_that_pixels_hide() -> None:
    pixels = sample("clean/houses.png")

    assert diagnose(pixels, jpeg_quality=79).findings == (Finding("JPEG", "JPEG of quality 79"),)
    assert diagnose(pixels, jpeg_quality=80).findings == ()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 1), (40, 30, 3)])
def test_photos_of_any_size_are_looked_at(shape: tuple[int, int, int]) -> None:
    figures = diagnose(np.full(shape, 128, np.uint8)).figures

    assert (figures.height, figures.width) == shape[:2]
    assert figures.edge_width is None


def test_every_network_of_the_table_ships() -> None:
    assert named_networks() <= SHIPPED
    assert all(row.reason for row in ROWS)


@pytest.mark.parametrize(
    ("faults", "first"),
    [
        ([], ""),
        (["noise"], "denoise"),
        (["JPEG"], "jpeg"),
        (["soft"], "deblur"),
        (["noise", "JPEG"], "photo"),
        (["noise", "soft"], "photo"),
        (["JPEG", "soft"], "jpeg,deblur"),
        (["dark"], "lowlight"),
        (["backlit"], "enhance"),
        (["faded"], "old"),
        (["faded", "noise"], "old"),
        (["backlit", "JPEG"], "jpeg"),
    ],
)
def test_the_first_suggestion_suits_the_findings(faults: list[str], first: str) -> None:
    assert suggest(with_faults(*faults), SHIPPED)[0].name == first


def test_a_network_that_does_not_ship_is_not_suggested() -> None:
    assert suggest(with_faults("hazy"), {"photo"}) == [NO_NETWORK]
    assert suggest(with_faults("JPEG"), {"photo"})[0].name == "photo"
    assert suggest(with_faults("strong noise", "noise"), {"photo"}, enlarges=True) == [NO_NETWORK]
    assert suggest(with_faults(), SHIPPED) == [LEAVE]


@pytest.mark.parametrize(
    ("faults", "quality", "first"),
    [
        ([], None, "sr_x4"),
        ([], 95, "sr_x4"),
        ([], 85, "realesrgan_general_x4"),
        (["dark"], None, "sr_x4"),
        (["JPEG"], 40, "realesrgan_general_x4"),
        (["noise", "strong noise"], None, "photo,realsr_x4"),
    ],
)
def test_a_larger_photo_comes_from_a_network_that_enlarges(faults: list[str], quality: int | None, first: str) -> None:
    found = suggest(with_faults(*faults, jpeg_quality=quality), SHIPPED, enlarges=True)

    assert found[0].name == first
    assert all(one.enlarges for one in found)
    assert len({one.name for one in found}) == len(found)
