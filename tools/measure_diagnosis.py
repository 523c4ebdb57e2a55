"""How often `diffir suggest` recognises damage, and what the networks that it may suggest are worth there.

    python tools/measure_diagnosis.py recognise PHOTOS LIST   of each damage, the share of photos with each finding
    python tools/measure_diagnosis.py gains PHOTOS LIST       of each damage, PSNR in dB of the input and of networks

PHOTOS is a folder of undamaged photos and LIST a text file with their paths in it. The thresholds were set on
datasets/lists/permissive_train.txt; the tables of docs/which-network.md are of permissive_val.txt, which no network has
learnt from. Seeds are fixed, so a second call prints the same.
"""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import diffir
from diffir.degradations.recipes import Recipe, build_recipe, degrade_image, load_recipe, seed_for_photo
from diffir.diagnosis import diagnose
from diffir.image_io import read_image
from diffir.inference.restorer import Restorer
from diffir.metrics.fidelity import psnr
from diffir.pixels import as_rgb, to_kind

DRAWS = 3  # of each damage and photo
CROP = 256  # pixels a side of the middle of each photo whose restorations are compared
FAULTS = ("noise", "strong noise", "JPEG", "soft", "dark", "backlit", "hazy", "faded")


def _noise(sigma: float) -> dict[str, Any]:
    return {"type": "gaussian_noise", "sigma": [sigma, sigma]}


def _jpeg(quality: int) -> dict[str, Any]:
    return {"type": "jpeg", "quality": [quality, quality], "subsampling": ["420"]}


def _blur(sigma: float) -> dict[str, Any]:
    return {"type": "blur", "sigma": [sigma, sigma], "kernel_size": [21, 21], "kinds": {"iso": 1}}


def _motion(length: float) -> dict[str, Any]:
    return {"type": "motion_blur", "length": [length, length]}


def _dark(stops: float) -> dict[str, Any]:
    return {"type": "low_light", "stops": [stops, stops]}


DAMAGE: dict[str, list[dict[str, Any]] | str] = {
    "none": [],
    "JPEG of quality 95": [_jpeg(95)],
    "noise, sigma 3": [_noise(3)],
    "noise, sigma 5": [_noise(5)],
    "noise, sigma 10": [_noise(10)],
    "noise, sigma 25": [_noise(25)],
    "camera_noise": "camera_noise",
    "JPEG of quality 80": [_jpeg(80)],
    "JPEG of quality 50": [_jpeg(50)],
    "JPEG of quality 30": [_jpeg(30)],
    "JPEG of quality 10": [_jpeg(10)],
    "noise, sigma 15, then JPEG of quality 60": [_noise(15), _jpeg(60)],
    "blur, sigma 1": [_blur(1)],
    "blur, sigma 1.5": [_blur(1.5)],
    "blur, sigma 2.4": [_blur(2.4)],
    "motion over 10 pixels": [_motion(10)],
    "blur, sigma 1.5, then noise, sigma 5": [_blur(1.5), _noise(5)],
    "blur, sigma 1.5, then JPEG of quality 50": [_blur(1.5), _jpeg(50)],
    "deblur": "deblur",
    "photo": "photo",
    "low light, 1 stop": [_dark(1)],
    "low light, 2 stops": [_dark(2)],
    "low light, 4 stops": [_dark(4)],
    "backlight": "backlight",
    "haze": "haze",
    "fading": [{"type": "fading", "monochrome_prob": 0.0}],
    "old_print": "old_print",
    "colour cast": [{"type": "low_light", "stops": [0.0, 1.0], "cast": 1.0}],
    "rain": "rain",
}
COMPARED = {
    "none": ["photo"],
    "noise, sigma 5": ["photo", "denoise"],
    "noise, sigma 25": ["photo", "denoise"],
    "JPEG of quality 50": ["photo", "jpeg"],
    "JPEG of quality 10": ["photo", "jpeg"],
    "noise, sigma 15, then JPEG of quality 60": ["photo", "denoise", "jpeg"],
    "blur, sigma 1.5": ["photo", "deblur"],
    "motion over 10 pixels": ["photo", "deblur"],
    "blur, sigma 1.5, then noise, sigma 5": ["photo", "deblur", "denoise,deblur"],
    "blur, sigma 1.5, then JPEG of quality 50": ["photo", "deblur", "jpeg", "jpeg,deblur"],
    "low light, 2 stops": ["enhance", "lowlight"],
    "low light, 4 stops": ["enhance", "lowlight", "denoise,lowlight"],
    "backlight": ["enhance", "lowlight"],
    "haze": ["enhance"],
    "fading": ["enhance", "old"],
    "old_print": ["photo", "enhance", "old"],
}
# Damage that is seen in whole photos.
WHOLE = {"low light, 2 stops", "low light, 4 stops", "backlight", "haze", "fading", "old_print"}


def recipe(name: str) -> Recipe:
    """Return the recipe of a damage; its result has 256 levels."""
    steps = DAMAGE[name]
    return load_recipe(steps) if isinstance(steps, str) else build_recipe([*steps, {"type": "quantize"}])


def photos(folder: Path, listing: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and pixels of the photos, H x W x 3 uint8."""
    for line in listing.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line, as_rgb(read_image(folder / line.strip()).pixels)


def damaged(pixels: np.ndarray, name: str, photo: str, draw: int) -> np.ndarray:
    """Return a photo with one damage, uint8."""
    return to_kind(degrade_image(pixels, recipe(name), seed_for_photo(photo, draw)), np.uint8)


def recognise(folder: Path, listing: Path) -> None:
    """Print a table of the shares of photos with each finding, in percent."""
    given = list(photos(folder, listing))
    print(f"| {len(given)} photos | " + " | ".join(FAULTS) + " | any |")
    print("|---" * (len(FAULTS) + 2) + "|")
    for name in DAMAGE:
        draws = 1 if name == "none" else DRAWS
        found = [
            diagnose(damaged(pixels, name, photo, draw)).faults for photo, pixels in given for draw in range(draws)
        ]
        shares = [np.mean([fault in faults for faults in found]) for fault in FAULTS] + [np.mean([*map(bool, found)])]
        print(f"| {name} | " + " | ".join(f"{100 * share:.0f}" for share in shares) + " |", flush=True)


@cache
def restorer(name: str) -> Restorer:
    """Return a network or a chain, in fp32 on the CPU."""
    return diffir.load(name, device="cpu", precision="fp32")


def gains(folder: Path, listing: Path) -> None:
    """Print for each damage the mean PSNR of the photos or of their middles, damaged and restored."""
    everything = list(photos(folder, listing))
    for name, networks in COMPARED.items():
        given = everything if name in WHOLE else [(photo, _middle(pixels)) for photo, pixels in everything]
        inputs = [damaged(pixels, name, photo, 0) for photo, pixels in given]
        scores = [f"input {np.mean([min(psnr(lq, gt), 60) for lq, (_, gt) in zip(inputs, given, strict=True)]):.2f}"]
        for network in networks:
            outputs = [np.asarray(restorer(network).restore(lq)) for lq in inputs]
            mean = np.mean([min(psnr(out, gt), 60) for out, (_, gt) in zip(outputs, given, strict=True)])
            scores.append(f"{network} {mean:.2f}")
        print(f"| {name} | " + ", ".join(scores) + " |", flush=True)


def _middle(pixels: np.ndarray) -> np.ndarray:
    top, left = ((side - CROP) // 2 // 8 * 8 for side in pixels.shape[:2])
    return pixels[top : top + CROP, left : left + CROP]


def main() -> None:
    """Run the named measurement."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    measurement = {"recognise": recognise, "gains": gains}[sys.argv[1]]
    measurement(Path(sys.argv[2]), Path(sys.argv[3]))


if __name__ == "__main__":
    main()
