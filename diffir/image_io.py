"""File <-> array: the only place that knows codecs, BGR and how a file stores grey, alpha, depth and orientation.

In: a path. Out: a ``Photo`` (RGB or grey pixels in the file's own depth, alpha apart), turned upright. Pillow opens
every file; TIFF goes through tifffile and 16-bit PNG, PNM and JPEG 2000 through OpenCV, since Pillow would return 8
bit. For 8-bit files Pillow gives OpenCV's bits and, unlike it, refuses truncated ones. Files are written whole or not
at all.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from diffir.errors import ImageError
from diffir.files import write_atomically
from diffir.pixels import to_float, to_kind

_ORIENTATION = 274  # EXIF and TIFF tag
_ICC_PROFILE = 34675  # TIFF tag
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEEP_FORMATS = ("PPM", "JPEG2000")  # may hold 16 bit, which Pillow would cut to 8
_ANIMATED_FORMATS = ("GIF", "PNG", "WEBP")
_TIFF_SUFFIXES = (".tif", ".tiff")
_PILLOW_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
_NO_ALPHA = (".jpg", ".jpeg", ".bmp")
_NO_EXIF = (".bmp", *_TIFF_SUFFIXES)
_NO_ICC_PROFILE = (".bmp",)
_FULL_CHROMA_QUALITY = 90  # from here JPEG keeps colour at full resolution (4:4:4); a matter of taste

WRITABLE_SUFFIXES = (*_PILLOW_FORMATS, *_TIFF_SUFFIXES)
IMAGE_SUFFIXES = (*WRITABLE_SUFFIXES, ".gif", ".jfif", ".jp2", ".pgm", ".pnm", ".ppm")


@dataclass(frozen=True, eq=False)
class Photo:
    """What a file holds, upright."""

    pixels: np.ndarray
    """H x W x C with C = 3 (RGB) or 1 (grey); uint8, uint16 or float32."""
    alpha: np.ndarray | None = None
    """H x W, the type of ``pixels``; None: opaque."""
    icc_profile: bytes | None = None
    exif: bytes | None = None
    """As the file had it, orientation set to 1."""


def list_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Image files of a folder by suffix (any case), sorted; hidden files are left out."""
    found = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def read_image(path: str | Path) -> Photo:
    """The photo in a file.

    Raises:
        ImageError: no such file, an empty one, not an image, a damaged or truncated one, an animation.
    """
    path = Path(path)
    content = _read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large photos and odd metadata; the user can do nothing
            return _decode_tiff(content) if content.startswith(_TIFF_MAGIC) else _decode(content)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image that can be read here") from error
    except Exception as error:  # on damaged bytes, decoders raise whatever their parsers stumble over
        raise ImageError(f"{path}: damaged or truncated ({' '.join(str(error).split())})") from error


def write_image(path: str | Path, photo: Photo | np.ndarray, *, quality: int = 95) -> None:
    """Write a photo, or an array H x W x C or H x W, in the format of the suffix; makes missing folders.

    A file appears complete or not at all. What the format cannot hold is converted; ``describe_losses`` says
    beforehand what that is. Floats have white at 1 and are clipped.

    Args:
        quality: 0-100, of JPEG and WebP.
    Raises:
        ImageError: an unknown suffix, an array that is no image, or a disk that refuses.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        raise ImageError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; can: {', '.join(WRITABLE_SUFFIXES)}"
        )
    photo = photo if isinstance(photo, Photo) else Photo(np.atleast_3d(photo))
    if photo.pixels.ndim != 3 or photo.pixels.shape[2] not in (1, 3) or not photo.pixels.size:
        raise ImageError(f"{path}: an image has 1 or 3 channels, not shape {photo.pixels.shape}")
    try:
        content = _encode(photo, suffix, quality)
        with write_atomically(path) as file:
            file.write(content)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be written ({error})") from error


def describe_losses(photo: Photo, suffix: str) -> str:
    """What a file of that suffix could not hold of the photo, in a few words; empty if nothing."""
    suffix = suffix.lower()
    losses = []
    kept = _storable(photo.pixels, suffix).dtype
    if kept != photo.pixels.dtype:
        depths = {"uint8": "8 bit", "uint16": "16 bit", "float32": "float", "float64": "float"}
        losses.append(f"{depths.get(photo.pixels.dtype.name, photo.pixels.dtype.name)} became {depths[kept.name]}")
    if photo.alpha is not None and suffix in _NO_ALPHA:
        losses.append("alpha dropped")
    if photo.icc_profile and suffix in _NO_ICC_PROFILE:
        losses.append("ICC profile dropped")
    if photo.exif and suffix in _NO_EXIF:
        losses.append("EXIF dropped")
    return ", ".join(losses)


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"{path}: a folder, not an image")
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error
    if not content:
        raise ImageError(f"{path}: the file is empty")
    return content


def _decode(content: bytes) -> Photo:
    with Image.open(io.BytesIO(content)) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format in _ANIMATED_FORMATS:
            raise ImageError(f"an animation of {frames} frames; only still images can be restored")
        is_grey = image.mode in ("1", "L", "LA", "I", "I;16", "I;16B") and "transparency" not in image.info
        is_deep = image.format in _DEEP_FORMATS or (image.format == "PNG" and content[24] == 16)  # bit depth in IHDR
        array = _decode_opencv(content) if is_deep else np.atleast_3d(np.asarray(_as_plain_mode(image, is_grey)))
        orientation, exif = _orientation_and_exif(image)
        icc = None if image.mode == "CMYK" else image.info.get("icc_profile")  # no profile of CMYK describes RGB
    return _photo(array, is_grey=is_grey, orientation=orientation, icc_profile=icc, exif=exif)


def _orientation_and_exif(image: Image.Image) -> tuple[int, bytes | None]:
    """The orientation, and the EXIF block that is right once the pixels are upright."""
    content = image.info.get("exif")
    try:
        exif = image.getexif()
        orientation = int(exif.get(_ORIENTATION, 1))
        if orientation != 1 and content:
            exif[_ORIENTATION] = 1
            content = exif.tobytes()
    except Exception:  # noqa: BLE001 - a broken EXIF block raises anything, and is no reason to refuse the photo
        return 1, content
    return orientation, content


def _as_plain_mode(image: Image.Image, is_grey: bool) -> Image.Image:
    has_alpha = image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info
    mode = ("LA" if has_alpha else "L") if is_grey else ("RGBA" if has_alpha else "RGB")
    image.load()
    return image if image.mode == mode else image.convert(mode)


def _decode_opencv(content: bytes) -> np.ndarray:
    """H x W x C, RGB order. UNCHANGED keeps 16 bit and alpha, and leaves the orientation to us."""
    array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ImageError("damaged or truncated")
    array = np.atleast_3d(array)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    return array[:, :, order]


def _decode_tiff(content: bytes) -> Photo:
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        page = tiff.pages.first
        if len(tiff.series) and tiff.series[0].kind == "uniform" and len(tiff.pages) > 1:
            raise ImageError(f"a TIFF of {len(tiff.pages)} pages; only single images can be restored")
        photometric = getattr(page.photometric, "name", "")
        tags = {code: tag.value for code in (_ORIENTATION, _ICC_PROFILE) if (tag := page.tags.get(code)) is not None}
        if photometric not in ("RGB", "MINISBLACK") or page.bitspersample not in (8, 16, 32):
            return _decode(content)  # palette, CMYK, bilevel: all 8 bit, and Pillow knows them (and turns them)
        array = _tiff_pixels(page, content, int(tags.get(_ORIENTATION, 1)))
    if array.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(f"pixels of type {array.dtype}; 8 and 16 bit and 32-bit float can be read")
    icc = tags.get(_ICC_PROFILE)
    return _photo(
        array, is_grey=photometric == "MINISBLACK", orientation=int(tags.get(_ORIENTATION, 1)), icc_profile=icc
    )


def _tiff_pixels(page: Any, content: bytes, orientation: int) -> np.ndarray:
    try:
        array = np.asarray(page.asarray())
    except ValueError as error:
        if "imagecodecs" not in str(error) or orientation != 1:  # OpenCV fails on turned TIFFs
            raise
        return _decode_opencv(content)
    return np.moveaxis(array, 0, 2) if page.axes.startswith("S") else np.atleast_3d(array)


def _photo(array: np.ndarray, *, is_grey: bool, orientation: int, **carried: bytes | None) -> Photo:
    """Split colour, grey and alpha, and turn them upright."""
    channels = array.shape[2]
    colours = 1 if is_grey else 3
    if channels < colours:
        array, channels = np.repeat(array[:, :, :1], colours, axis=2), colours
    array = _turn_upright(array, orientation)
    pixels = np.ascontiguousarray(array[:, :, :colours])
    # OpenCV expands grey with alpha to four channels, so alpha is always the last one.
    alpha = np.ascontiguousarray(array[:, :, -1]) if channels in (2, 4) else None
    return Photo(pixels, alpha, **carried)


def _turn_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF 2.32, tag 274: 1 upright, 2-4 flips and half turn, 5-8 with the sides exchanged."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _storable(array: np.ndarray, suffix: str) -> np.ndarray:
    """The array in the nearest type that a file of that suffix holds."""
    if suffix in _TIFF_SUFFIXES:
        return array.astype(np.float32) if array.dtype.kind == "f" else array
    if array.dtype == np.uint8 or (array.dtype == np.uint16 and suffix == ".png"):
        return array
    return to_kind(to_float(array), np.uint16 if suffix == ".png" else np.uint8)


def _encode(photo: Photo, suffix: str, quality: int) -> bytes:
    array = _storable(photo.pixels, suffix)
    if photo.alpha is not None and suffix not in _NO_ALPHA:
        array = np.dstack([array, _storable(photo.alpha, suffix)])
    if suffix in _TIFF_SUFFIXES:
        return _encode_tiff(array, photo.icc_profile)
    if array.dtype == np.uint16:
        return _encode_deep_png(array, photo)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"icc_profile": photo.icc_profile, "exif": photo.exif or b"", "quality": quality}
    if suffix in (".jpg", ".jpeg"):
        options["subsampling"] = 0 if quality >= _FULL_CHROMA_QUALITY else 2
    Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array).save(buffer, _PILLOW_FORMATS[suffix], **options)
    return buffer.getvalue()


def _encode_tiff(array: np.ndarray, icc_profile: bytes | None) -> bytes:
    has_alpha = array.shape[2] in (2, 4)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        array.squeeze(2) if array.shape[2] == 1 else array,
        photometric="rgb" if array.shape[2] >= 3 else "minisblack",
        planarconfig="contig" if array.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if has_alpha else None,
        compression="zlib",
        predictor=array.dtype.kind == "u",
        iccprofile=icc_profile,
        metadata=None,
    )
    return buffer.getvalue()


def _encode_deep_png(array: np.ndarray, photo: Photo) -> bytes:
    """16 bit, which Pillow cannot write; OpenCV has no grey with alpha, so that becomes RGBA."""
    order = {1: [0], 2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(array[:, :, order]))
    if not done:
        raise ValueError("OpenCV refused")
    content = encoded.tobytes()
    # The metadata go in by hand, after the header of 33 bytes: imencodeWithMetadata fails on profiles libpng dislikes.
    profile = photo.icc_profile and b"ICC Profile\0\0" + zlib.compress(photo.icc_profile)
    exif = photo.exif and photo.exif.removeprefix(b"Exif\0\0")
    return content[:33] + _png_chunk(b"iCCP", profile) + _png_chunk(b"eXIf", exif) + content[33:]


def _png_chunk(kind: bytes, content: bytes | None) -> bytes:
    """PNG specification, section 5.3; nothing for no content."""
    if not content:
        return b""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
