"""What a photo is inside a packed form (shard or LMDB): the bytes of a PNG, JPEG or WebP file.

In: bytes and a name for messages. Out: a ``Photo``. Other formats are turned into PNG when they are packed, so a
reader of packed photos needs three decoders.
"""

from diffir.errors import DiffIRError, ImageError
from diffir.image_io import Photo
from diffir.image_io.by_pillow import read_by_pillow
from diffir.image_io.formats import kind_of
from diffir.image_io.photo import Limits
from diffir.image_io.png import read_png
from diffir.image_io.quiet import quiet_decoders

PACKED_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def decode(content: bytes, name: str) -> Photo:
    """The photo in a file's bytes.

    Raises:
        ImageError: damaged, an animation, or another format; the message begins with the name.
    """
    limits = Limits(animations=False)
    kind = kind_of(content, "")
    if kind not in ("PNG", "JPEG", "WEBP"):
        raise ImageError(f"{name}: packed photos are PNG, JPEG or WebP; pack it again with tools/pack_photos.py")
    try:
        with quiet_decoders():
            photo = read_png(content, limits) if kind == "PNG" else read_by_pillow(content, kind, limits)
    except DiffIRError as error:
        raise ImageError(f"{name}: {error}") from error
    except Exception as error:  # on damaged bytes, decoders raise whatever their parsers stumble over
        raise ImageError(f"{name}: damaged or truncated ({' '.join(str(error).split())})") from error
    assert isinstance(photo, Photo)  # animations are refused by the limits
    return photo
