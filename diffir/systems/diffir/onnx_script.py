"""Restore a photo with the graphs prior.onnx and restorer.onnx beside this file; needs numpy and onnxruntime alone.

python restore.py IN.npy OUT.npy [MASK.npy]   RGB, H x W x 3 in [0, 1]; the mask, H x W, is above 0 in holes

Files with other suffixes, such as .png, are read and written as 8-bit images with Pillow. ``diffir export`` wrote this.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent


def restore(image: np.ndarray, mask: np.ndarray | None = None, folder: Path = HERE) -> np.ndarray:
    """Restore an image H x W x 3, float32 in [0, 1]; the result is scale*H x scale*W x 3."""
    prior, restorer = (onnxruntime.InferenceSession(str(folder / f"{name}.onnx")) for name in ("prior", "restorer"))
    facts = json.loads(prior.get_modelmeta().custom_metadata_map["diffir"])
    if (mask is None) == facts["has_mask"]:
        raise SystemExit(f"{facts['name']} {'needs a' if facts['has_mask'] else 'takes no'} mask")

    # Fill the holes, and continue the photo by its mirror image to sides that the network accepts.
    hole = None if mask is None else mask > 0
    given = image if hole is None else np.where(hole[..., None], 0, image)
    if hole is not None and facts["hole_fill"] == "membrane":
        given = membrane(given, hole)
    if hole is not None:
        given = np.dstack([given, hole])
    height, width = image.shape[:2]
    margins = [(0, -side % facts["multiple_of"]) for side in (height, width)]
    padded = np.pad(given, [*margins, (0, 0)], mode="symmetric" if facts["has_mask"] else "reflect")
    lq = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)

    # Estimate the prior, restore, and keep the known pixels.
    noise = np.array([facts["noise"]], np.float32)
    seen = lq if not facts["thumbnail"] else shrunk(shrunk(lq, 2, facts["thumbnail"]), 3, facts["thumbnail"])
    (vector,) = prior.run(None, {"lq": seen, "noise": noise})
    (result,) = restorer.run(None, {"lq": lq, "prior": vector})
    scale = facts["scale"]
    result = result[0].transpose(1, 2, 0)[: scale * height, : scale * width].clip(0, 1)
    return result if hole is None else np.where(hole[..., None], result, image)


def membrane(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill holes (H, W) of an image that is 0 in them with the harmonic interpolation of their border."""
    if hole.shape == (1, 1):
        return image
    known = halved(~hole[..., None])
    coarse = membrane(halved(image) / np.maximum(known, 0.25), known[..., 0] == 0)
    estimate = doubled(doubled(coarse).swapaxes(0, 1)).swapaxes(0, 1)[: hole.shape[0], : hole.shape[1]]
    filled = np.where(hole[..., None], estimate, image)
    for _ in range(6):
        wide = np.pad(filled, [(1, 1), (1, 1), (0, 0)], mode="edge")
        mean = (wide[1:-1, :-2] + wide[1:-1, 2:] + wide[:-2, 1:-1] + wide[2:, 1:-1]) / 4
        filled = np.where(hole[..., None], mean, filled)
    return filled


def shrunk(image: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Shrink one axis of an image to ``side`` pixels; each is the mean of the pixels that it covers."""
    lines = np.moveaxis(image, axis, 0)
    pieces = [lines[i * len(lines) // side : -(-(i + 1) * len(lines) // side)] for i in range(side)]
    return np.moveaxis(np.stack([piece.mean(axis=0) for piece in pieces]), 0, axis)


def halved(image: np.ndarray) -> np.ndarray:
    """Mean of each block of 2 x 2 pixels (H, W, C); blocks at the edge may be smaller."""
    margins = [(0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)]
    total, count = (np.pad(x, margins).astype(np.float32) for x in (image, np.ones_like(image)))
    total, count = (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2] for x in (total, count))
    return total / count


def doubled(image: np.ndarray) -> np.ndarray:
    """Linear interpolation to twice the number of rows (H, W, C), with pixel centres aligned."""
    wide = np.pad(image, [(1, 1), (0, 0), (0, 0)], mode="edge")
    pairs = np.stack([0.25 * wide[:-2] + 0.75 * image, 0.75 * image + 0.25 * wide[2:]], axis=1)
    return pairs.reshape(-1, *image.shape[1:])


def main(source: str, target: str, mask: str | None = None) -> None:
    """Restore a file into another one."""
    image, holes = read(source)[..., :3], None if mask is None else read(mask)
    result = restore(image, None if holes is None else holes.reshape(*holes.shape[:2], -1)[..., 0])
    if target.endswith(".npy"):
        np.save(target, result)
        return
    from PIL import Image

    Image.fromarray((255 * result).round().astype(np.uint8)).save(target)


def read(path: str) -> np.ndarray:
    """Read an image as float32 in [0, 1]."""
    if path.endswith(".npy"):
        return np.load(path).astype(np.float32)
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


if __name__ == "__main__":
    main(*sys.argv[1:])
