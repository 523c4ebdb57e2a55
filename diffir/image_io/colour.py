"""Convert Pillow images of any mode to grey or RGB arrays, with or without alpha.

In: an opened Pillow image. Out: an array H x W x 1, 2, 3 or 4, and a note on the conversion of colours. CMYK with a
profile is converted to sRGB by relative colorimetric intent with black-point compensation, the usual choice of photo
programs; without a profile, by Pillow's plain formula. Pillow has already undone Adobe's inversion of CMYK.
"""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

_GREY_MODES = ("1", "L", "LA", "La")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_ROWS = 256  # rows converted at a time


def plain_array(image: Image.Image) -> tuple[np.ndarray, str]:
    """Return the pixels as H x W x C uint8, and a note on how colours were converted (empty if they were not)."""
    image.load()
    image, note = _as_rgb(image)
    mode = plain_mode(image)
    array = np.empty((image.height, image.width, len(Image.new(mode, (1, 1)).getbands())), np.uint8)
    for top, rows in blocks_of_rows(image):
        rows = rows if rows.mode == mode else rows.convert(mode)
        array[top : top + rows.height] = np.asarray(rows).reshape(rows.height, rows.width, -1)
    return array, note


def blocks_of_rows(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield (number of the first row, these rows) for blocks of rows, which saves a further copy of a large photo."""
    for top in range(0, image.height, _ROWS):
        yield top, image.crop((0, top, image.width, min(top + _ROWS, image.height)))


def plain_mode(image: Image.Image) -> str:
    """Return which of the modes L, LA, RGB and RGBA holds the image."""
    has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
    return ("L" if image.mode in _GREY_MODES else "RGB") + ("A" if has_alpha else "")


def _as_rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """Convert CMYK, Lab and similar modes to RGB, and return a note; other modes stay."""
    if image.mode == "CMYK":
        profile = image.info.get("icc_profile")
        if profile:
            try:
                return _through(
                    ImageCms.ImageCmsProfile(io.BytesIO(profile)), image
                ), "CMYK converted through its profile to sRGB"
            except (ImageCms.PyCMSError, OSError, ValueError):
                return image.convert("RGB"), "CMYK converted to sRGB by a plain formula, its profile being unusable"
        return image.convert("RGB"), "CMYK converted to sRGB by a plain formula, as it has no profile"
    if image.mode == "LAB":
        return _through(ImageCms.createProfile("LAB"), image), "Lab converted to sRGB"
    if image.mode in ("YCbCr", "HSV"):
        return image.convert("RGB"), f"{image.mode} converted to RGB"
    return image, ""


def _through(profile: object, image: Image.Image) -> Image.Image:
    """Convert an image with this colour profile to sRGB."""
    converted = ImageCms.profileToProfile(
        image,
        profile,  # type: ignore[arg-type]
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise ValueError("no conversion")
    return converted
