"""Restore a photo with the graphs prior.onnx and restorer.onnx beside this file; ``diffir export`` wrote all three.

python restore.py IN.png OUT.png [MASK.png]    the mask is white where something is missing; files need Pillow, too
Networks with the setting tone_side restore the photo itself here, not a small copy of it as in ``diffir restore``.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def restore(image: np.ndarray, *mask: np.ndarray) -> np.ndarray:
    """Restore RGB (H, W, 3), float32 in [0, 1]; networks that fill holes need a mask (H, W) that is above 0 in them."""
    onnxruntime.set_default_logger_severity(3)  # it warns of inputs with defaults
    here = Path(__file__).resolve().parent
    prior, restorer = (onnxruntime.InferenceSession(here / name) for name in ("prior.onnx", "restorer.onnx"))
    names = [graph_input.name for graph_input in prior.get_inputs()]  # image, or image and mask
    if len(names) != 1 + len(mask):
        raise SystemExit(f"this network takes {' and '.join(names)}")
    vector, lq = prior.run(["prior", "lq"], dict(zip(names, (image, *mask), strict=True)))
    about = json.loads(prior.get_modelmeta().custom_metadata_map["diffir"])
    if margin := about["margin"]:  # networks whose prior sees the whole photo restore mirrored pixels around it, too
        beyond = [(margin, margin + -(side + 2 * margin) % about["multiple_of"]) for side in image.shape[:2]]
        (lq,) = prior.run(["lq"], {"image": np.pad(image, [*beyond, (0, 0)], mode="reflect")})
    (result,) = restorer.run(["restored"], {"lq": lq, "prior": vector})
    scale = result.shape[2] // lq.shape[2]
    rows, columns = (slice(scale * margin, scale * (margin + side)) for side in image.shape[:2])
    result = result[0].transpose(1, 2, 0)[rows, columns].clip(0, 1)
    return np.where(mask[0][..., None] > 0, result, image) if mask else result


if __name__ == "__main__":
    from PIL import Image

    source, target, *masks = sys.argv[1:]
    pixels = np.asarray(Image.open(source).convert("RGB"), np.float32) / 255
    restored = restore(pixels, *(np.asarray(Image.open(path).convert("L"), np.float32) for path in masks))
    Image.fromarray((255 * restored).round().astype(np.uint8)).save(target)
