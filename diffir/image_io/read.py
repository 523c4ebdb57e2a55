"""Read an image file of any supported format; every error message is one line that begins with the path.

In: a path, and the largest number of pixels. Out: a ``Photo``, an ``Animation`` or ``Pages``. The content of the file
decides which reader is used, not its name. What a decoder raises about a damaged file is converted to ``ImageError``,
and an error of the program to ``FaultError``.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from diffir.errors import DiffIRError, FaultError, ImageError
from diffir.faults import description, is_fault_of_reader
from diffir.image_io.by_pillow import read_by_pillow
from diffir.image_io.formats import kind_of
from diffir.image_io.photo import MAX_PIXELS, Content, Limits, Photo
from diffir.image_io.plugins import read_heif, read_jxl, read_raw
from diffir.image_io.png import read_png
from diffir.image_io.pnm import is_pnm, read_pnm
from diffir.image_io.quiet import quiet_decoders
from diffir.image_io.tiff import read_tiff

_BEGINNING = 512  # bytes; enough to recognise any format
_OBJECT = re.compile(r"<[^<>]* object at 0x[0-9a-fA-F]+>")  # the stream that Pillow was given, in its messages
_READABLE = "PNG, JPEG, WebP, TIFF, GIF, BMP, AVIF, JPEG 2000, PNM; HEIC, JPEG XL and camera raw with extra packages"


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read the still photo in a file.

    Raises:
        ImageError: the file does not exist, is empty, damaged, truncated or no image, has more than ``max_pixels``,
            or holds an animation or several pages.
        MissingDependency: the file is HEIC, JPEG XL or camera raw, and the package for it is not installed.
        FaultError: diffir or a library failed, and the file is not to blame.
    """
    found = _read(Path(path), Limits(max_pixels, animations=False))
    assert isinstance(found, Photo)
    return found


def read_file(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Content:
    """Read the photo, the animation or the pages in a file; ``max_pixels`` limits all frames together.

    Raises:
        ImageError, MissingDependency, FaultError: in the cases that ``read_image`` lists, except for animations and
            pages.
    """
    return _read(Path(path), Limits(max_pixels))


def _read(path: Path, limits: Limits) -> Content:
    with one_line_errors(str(path)):
        return _decode(_read_bytes(path), path.suffix, limits)


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Silence the decoders, and convert what they raise to errors of one line that begins with ``name``.

    Raises:
        ImageError: the file is damaged or does not fit into memory.
        FaultError: the error says nothing about the file.
    """
    try:
        with quiet_decoders():
            yield
    except DiffIRError as error:
        error.args = (f"{name}: {error}",)
        raise
    except MemoryError as error:
        raise ImageError(f"{name}: there is not enough memory for it") from error
    except Exception as error:  # decoders raise errors of many types on damaged bytes
        if is_fault_of_reader(error):
            raise FaultError(f"{name}: {description(error)}") from error
        raise ImageError(f"{name}: damaged or truncated ({_words_of(error)})") from error


def _words_of(error: Exception) -> str:
    """Return the message of a decoder in one line, without objects in memory, which tell a user nothing."""
    return " ".join(_OBJECT.sub("", str(error)).split()) or type(error).__name__


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ImageError("a folder, not an image")
        if path.exists() and not path.is_file():
            raise ImageError("a pipe or a device, not a file")  # reading it might never end
        with path.open("rb") as file:
            # Recognise the format first, so that a video of 3 GB is not read in vain.
            beginning = file.read(_BEGINNING)
            if beginning and not kind_of(beginning, path.suffix):
                raise ImageError(f"not an image in a format that can be read; readable are {_READABLE}")
            file.seek(0)
            content = file.read()
    except FileNotFoundError as error:
        raise ImageError("no such file") from error
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})") from error
    if not content:
        raise ImageError("the file is empty")
    return content


def _decode(content: bytes, suffix: str, limits: Limits) -> Content:
    kind = kind_of(content, suffix)
    if kind == "PPM" and is_pnm(content):
        return read_pnm(content, limits)
    if kind == "TIFF":
        return read_tiff(content, limits, partial(_photo_by_pillow, kind=kind))
    readers = {"PNG": read_png, "HEIF": read_heif, "JXL": read_jxl, "RAW": read_raw}
    if kind not in readers:
        return read_by_pillow(content, kind, limits)
    # Give up this function's reference, so that the reader can release the bytes before it decodes them.
    packed = [content]
    del content
    return readers[kind](packed.pop(), limits)


def _photo_by_pillow(content: bytes, limits: Limits, kind: str) -> Photo:
    photo = read_by_pillow(content, kind, limits)
    assert isinstance(photo, Photo)
    return photo
