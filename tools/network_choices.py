"""Draw the pictures of docs/which-network.md: one damaged photo, what several networks make of it, and the original.

    python tools/network_choices.py KODAK24 [NAME ...]     KODAK24: the folder of the card datasets/cards/kodak24.yml

Photos of Kodak24 may be redistributed and no shipped network learnt from them. Every caption ends with the PSNR in dB
of the whole photo. The seeds are fixed, so a second call makes the same pictures.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import diffir
from diffir.baselines.classical import Bicubic
from diffir.degradations.preview import Picture, contact_sheet
from diffir.degradations.recipes import build_recipe, cut_to_multiple, degrade_image
from diffir.image_io import read_image, write_image
from diffir.metrics.fidelity import psnr
from diffir.pixels import to_kind

OUT = Path(__file__).parents[1] / "docs/images/which_network"
CELL = 256  # width and height of each picture, in pixels of the original
ROUND = {"type": "quantize"}


@dataclass(frozen=True)
class Case:
    """One row of a picture: a photo, how it is damaged, and which networks restore it."""

    photo: str
    centre: tuple[int, int]
    """Column and row in the middle of the crop, in pixels of the original."""
    steps: Sequence[dict[str, Any]]
    networks: Sequence[str]
    """Names, or names joined by " > " where one network follows another; "bicubic" is no network."""
    seed: int = 0


CAMERA = {"type": "camera_noise", "electrons": [400, 400]}
STRONG_NOISE = {"type": "gaussian_noise", "sigma": [25, 25]}
JPEG_10 = {"type": "jpeg", "quality": [10, 10]}
SHRINK = {"type": "recipe", "name": "bicubic_x4"}
SMALL_AND_DAMAGED = (
    {"type": "blur", "sigma": [1.2, 1.2], "kernel_size": [9, 9], "kinds": {"iso": 1}},
    SHRINK,
    {"type": "gaussian_noise", "sigma": [6, 6]},
    {"type": "jpeg", "quality": [50, 50]},
)
ENLARGING = ("sr_x4", "ldm_sr_x4", "realsr_x4", "realesrgan_general_x4")

SHEETS: dict[str, list[Case]] = {
    "noise": [Case("kodim15", (300, 170), [CAMERA, ROUND], ["photo", "denoise"])],
    "jpeg": [Case("kodim03", (170, 170), [JPEG_10], ["photo", "jpeg"])],
    "blur": [
        Case("kodim14", (372, 360), [{"type": "motion_blur", "length": [9, 9]}, ROUND], ["photo", "deblur"], seed=2)
    ],
    "rain": [
        Case(
            "kodim07",
            (250, 220),
            [
                {"type": "rain", "density": [60, 60], "length": [25, 40], "width": [1, 2], "intensity": [0.6, 0.6]},
                ROUND,
            ],
            ["photo", "derain"],
            seed=3,
        )
    ],
    "holes": [Case("kodim09", (330, 240), [{"type": "recipe", "name": "inpaint_thin"}], ["inpaint"], seed=1)],
    "light": [
        Case("kodim22", (250, 250), [{"type": "recipe", "name": "low_light"}], ["enhance", "lowlight"], seed=1),
        Case("kodim21", (250, 250), [{"type": "recipe", "name": "haze"}], ["enhance", "lowlight"], seed=1),
    ],
    "small": [
        Case("kodim24", (250, 250), [SHRINK, ROUND], ENLARGING),
        Case("kodim14", (372, 360), [SHRINK, {"type": "jpeg", "quality": [75, 75]}, ROUND], ENLARGING),
        Case("kodim04", (280, 230), [*SMALL_AND_DAMAGED, ROUND], ENLARGING),
    ],
    "limits": [
        Case("kodim14", (372, 360), [{"type": "motion_blur", "length": [20, 20]}, ROUND], ["deblur"], seed=2),
        Case("kodim09", (330, 240), [{"type": "recipe", "name": "inpaint_wide"}], ["inpaint"], seed=4),
        Case("kodim08", (400, 330), [SHRINK, ROUND], ["ldm_sr_x4"]),
        Case("kodim23", (380, 200), [SHRINK, STRONG_NOISE, ROUND], ["realesrgan_general_x4", "photo > realsr_x4"]),
    ],
}


def restored(lq: np.ndarray, chain: str) -> np.ndarray:
    """Return what one network, or one after the other, makes of an image: H x W x 3 uint8, or H x W x 4 with a mask."""
    image, mask = lq[:, :, :3], (lq[:, :, 3] > 0 if lq.shape[2] == 4 else None)
    for name in chain.split(" > "):
        if name == "bicubic":
            image = Bicubic("bicubic", 4).restore(image)
        else:
            image = np.asarray(diffir.load(name, device="cpu", precision="fp32").restore(image, mask))
    return image


def row(folder: Path, case: Case) -> list[Picture]:
    """Return the input, what each network makes of it, and the original, as pictures around the centre of the case."""
    recipe = build_recipe(list(case.steps))
    clean = cut_to_multiple(read_image(next(folder.glob(f"{case.photo}.*"))).pixels, recipe.scale)
    lq = to_kind(degrade_image(clean, recipe, case.seed), np.uint8)
    words = "input" if lq.shape != clean.shape else f"input  {psnr(lq, clean):.1f} dB"
    pictures = [Picture(_cut(lq, case.centre, recipe.scale), words, recipe.scale)]
    for chain in case.networks:
        image = restored(lq, chain)
        pictures.append(Picture(_cut(image, case.centre, 1), f"{chain}  {psnr(image, clean):.1f} dB"))
    return [*pictures, Picture(_cut(clean, case.centre, 1), "original")]


def _cut(image: np.ndarray, centre: tuple[int, int], scale: int) -> np.ndarray:
    """Return the part of CELL x CELL pixels of the original around the centre."""
    side, (column, line) = CELL // scale, centre
    top = min(max(0, line // scale - side // 2), image.shape[0] - side)
    left = min(max(0, column // scale - side // 2), image.shape[1] - side)
    return image[top : top + side, left : left + side]


def main() -> None:
    """Write the named pictures, or all of them."""
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(SHEETS)
    for name in names:
        sheet = contact_sheet([row(folder, case) for case in SHEETS[name]], cell=CELL)
        write_image(OUT / f"{name}.jpg", sheet, quality=88)
        print(OUT / f"{name}.jpg")


if __name__ == "__main__":
    main()
