"""A path -> what the file holds; every failure is one line that begins with the path.

In: a path, and how many pixels are welcome. Out: a ``Photo`` or an ``Animation``. The reader is chosen by the bytes,
not by the name. Nothing but our own errors leaves here, whatever a damaged file makes a decoder do.
"""

from functools import partial
from pathlib import Path

from diffir.errors import DiffIRError, ImageError
from diffir.image_io.by_pillow import read_by_pillow
from diffir.image_io.formats import kind_of
from diffir.image_io.photo import MAX_PIXELS, Animation, Limits, Photo
from diffir.image_io.plugins import read_heif, read_jxl, read_raw
from diffir.image_io.png import read_png
from diffir.image_io.pnm import is_pnm, read_pnm
from diffir.image_io.quiet import quiet_decoders
from diffir.image_io.tiff import read_tiff

_BEGINNING = 512  # bytes, more than any kind needs to be known
_READABLE = "PNG, JPEG, WebP, TIFF, GIF, BMP, AVIF, JPEG 2000, PNM; HEIC, JPEG XL and camera raw by extra packages"


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """The photo in a file.

    Raises:
        ImageError: no such file, an empty one, not an image, a damaged or truncated one, one of more than
            ``max_pixels``, an animation.
        MissingDependency: HEIC, JPEG XL or camera raw, and the package for it is not installed.
    """
    found = _read(Path(path), Limits(max_pixels, animations=False))
    assert isinstance(found, Photo)
    return found


def read_file(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Photo | Animation:
    """The photo, or the animation, in a file; ``max_pixels`` counts all frames together.

    Raises:
        ImageError, MissingDependency: as ``read_image``.
    """
    return _read(Path(path), Limits(max_pixels))


def _read(path: Path, limits: Limits) -> Photo | Animation:
    try:
        with quiet_decoders():
            return _decode(_read_bytes(path), path.suffix, limits)
    except DiffIRError as error:
        error.args = (f"{path}: {error}",)
        raise
    except MemoryError as error:
        raise ImageError(f"{path}: there is not enough memory for it") from error
    except Exception as error:  # on damaged bytes, decoders raise whatever their parsers stumble over
        raise ImageError(f"{path}: damaged or truncated ({' '.join(str(error).split())})") from error


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ImageError("a folder, not an image")
        if path.exists() and not path.is_file():
            raise ImageError("a pipe or a device, not a file")  # it might never end
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
            if beginning and not kind_of(beginning, path.suffix):  # before a film of 3 GB is read for nothing
                raise ImageError(f"not an image that can be read here; can: {_READABLE}")
            file.seek(0)
            content = file.read()
    except FileNotFoundError as error:
        raise ImageError("no such file") from error
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})") from error
    if not content:
        raise ImageError("the file is empty")
    return content


def _decode(content: bytes, suffix: str, limits: Limits) -> Photo | Animation:
    kind = kind_of(content, suffix)
    if kind == "PPM" and is_pnm(content):
        return read_pnm(content, limits)
    if kind == "TIFF":
        return read_tiff(content, limits, partial(_photo_by_pillow, kind=kind))
    readers = {"PNG": read_png, "HEIF": read_heif, "JXL": read_jxl, "RAW": read_raw}
    if kind not in readers:
        return read_by_pillow(content, kind, limits)
    packed = [content]
    del content  # a PNG is held once while its chunks are sorted, and not at all once it is decoded
    return readers[kind](packed.pop(), limits)


def _photo_by_pillow(content: bytes, limits: Limits, kind: str) -> Photo:
    photo = read_by_pillow(content, kind, limits)
    assert isinstance(photo, Photo)
    return photo
