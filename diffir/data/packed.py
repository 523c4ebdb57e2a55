"""Decode a photo from a shard or an LMDB, which store the bytes of PNG, JPEG or WebP files.

In: bytes and a name for messages. Out: a ``Photo``. Other formats are converted to PNG when they are packed, so a
reader of packed photos needs only three decoders.
"""

from diffir.errors import ImageError
from diffir.image_io import Photo
from diffir.image_io.by_pillow import read_by_pillow
from diffir.image_io.formats import kind_of
from diffir.image_io.photo import Limits
from diffir.image_io.png import read_png
from diffir.image_io.read import one_line_errors

PACKED_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def decode(content: bytes, name: str) -> Photo:
    """Decode the bytes of a file.

    Raises:
        ImageError: the file is corrupt, an animation or in another format; the message begins with the name.
        FaultError: diffir or a library failed, and the file is not to blame.
    """
    limits = Limits(animations=False)
    kind = kind_of(content, "")
    if kind not in ("PNG", "JPEG", "WEBP"):
        raise ImageError(f"{name}: packed photos are PNG, JPEG or WebP; pack it again with tools/pack_photos.py")
    with one_line_errors(name):
        photo = read_png(content, limits) if kind == "PNG" else read_by_pillow(content, kind, limits)
    assert isinstance(photo, Photo)  # animations are refused by the limits
    return photo
