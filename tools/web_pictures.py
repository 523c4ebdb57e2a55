"""Draw the small pictures of ``diffir web``: a part of a sample photo before and after each network that ships.

    python tools/web_pictures.py [NAME ...]     without names: all shipped networks

Each sample photo is damaged by the recipe that stands for the network's task, so that all networks show what they are
for. The seeds are fixed, so a second call makes the same pictures.
"""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import diffir
from diffir.degradations.recipes import build_recipe, degrade_image
from diffir.image_io import read_image, write_image
from diffir.pixels import to_kind
from diffir.systems import SYSTEMS
from diffir.weights.catalogue import catalogue

ROOT = Path(__file__).parents[1]
OUT = ROOT / "diffir/web/pictures"
SIDE = 180  # pixels of each half
# For each network: the sample and the place of the part in it (column, row), and the damage.
Steps = list[dict[str, Any]]
HOUSES, PARROTS, LIGHTHOUSE = ("houses", (40, 60)), ("parrots", (150, 40)), ("lighthouse", (100, 60))
EVERYDAY: Steps = [
    {"type": "blur", "sigma": [1.2, 1.2]},
    {"type": "gaussian_noise", "sigma": [8, 8]},
    {"type": "jpeg", "quality": [50, 50]},
]
SMALL: Steps = [
    {"type": "recipe", "name": "bicubic_x4"},
    {"type": "gaussian_noise", "sigma": [4, 4]},
    {"type": "jpeg", "quality": [60, 60]},
]
RAIN = {"type": "rain", "density": [60, 60], "length": [25, 40], "width": [1, 2], "intensity": [0.6, 0.6]}
STROKES = {"type": "strokes", "count": [22, 26], "length": [40, 60], "width": [4, 6], "largest_share": 0.3}


def _recipe(name: str) -> Steps:
    return [{"type": "recipe", "name": name}]


CASES: dict[str, tuple[tuple[str, tuple[int, int]], Steps]] = {
    "photo": (HOUSES, EVERYDAY),
    "denoise": (HOUSES, [{"type": "gaussian_noise", "sigma": [30, 30]}]),
    "jpeg": (PARROTS, [{"type": "jpeg", "quality": [10, 10]}]),
    "deblur": (HOUSES, [{"type": "motion_blur", "length": [9, 9]}]),
    "derain": (PARROTS, [RAIN]),
    "enhance": (HOUSES, _recipe("haze")),
    "lowlight": (HOUSES, _recipe("low_light")),
    "old": (LIGHTHOUSE, _recipe("old_print")),
    "inpaint": (PARROTS, [STROKES]),
    "sr_x2": (HOUSES, _recipe("bicubic_x2")),
    "sr_x4": (HOUSES, _recipe("bicubic_x4")),
    "ldm_sr_x4": (HOUSES, _recipe("bicubic_x4")),
    "realsr_x4": (HOUSES, SMALL),
    "realesrgan_general_x4": (HOUSES, SMALL),
}


def picture(name: str, seed: int = 3) -> np.ndarray:
    """Return the part before and after a network, side by side: SIDE x 2 SIDE x 3 uint8."""
    (photo, (left, top)), steps = CASES[name]
    clean = read_image(ROOT / f"datasets/samples/clean/{photo}.png").pixels
    lq = to_kind(degrade_image(clean, build_recipe([*steps, {"type": "quantize"}]), seed), np.uint8)
    mask = lq[:, :, 3] > 0 if lq.shape[2] == 4 else None
    before = np.ascontiguousarray(lq[:, :, :3])
    after = np.asarray(diffir.load(name, device="cpu", precision="fp32").restore(before, mask))
    before = cv2.resize(before, after.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    pair = np.hstack([image[top : top + SIDE, left : left + SIDE] for image in (before, after)])
    pair[:, SIDE - 1 : SIDE + 1] = 255
    return pair


def main() -> None:
    """Write the named pictures, or those of all networks that ship."""
    shipped = [name for name, entry in catalogue(SYSTEMS).items() if entry.shipped]
    for name in sys.argv[1:] or shipped:
        write_image(OUT / f"{name}.jpg", picture(name), quality=82)
        print(OUT / f"{name}.jpg")


if __name__ == "__main__":
    main()
