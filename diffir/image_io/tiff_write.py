"""A photo -> TIFF: pixels by tifffile, deflated, with everything that describes the photo in the file's directory.

In: a ``Photo`` of uint8, uint16 or float32. Out: a file's bytes. tifffile writes no directories below the first, so a
new first directory is put behind the pixels: its own entries, and those of EXIF, GPS and XMP. Bytes go in the order
EXIF has them, so that values are copied as they are. Source: TIFF 6.0, section 2; XMP part 3 (tag 700).
"""

import io
import struct

import tifffile

from diffir.image_io.animation import frame_array
from diffir.image_io.metadata import exif_tags
from diffir.image_io.photo import Photo, flat_if_grey
from diffir.image_io.tags import Tag, layout_of, read_directory, write_directory

_XMP, _BYTE = 700, 1
_CLASSIC_LIMIT = 2**32 - 2**25  # bytes of pixels; places have 32 bits, and some room is left for the rest


def encode_tiff(photo: Photo) -> bytes:
    """One page; alpha is not multiplied in."""
    array = frame_array(photo)
    layout, tags = exif_tags(photo.exif)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        flat_if_grey(array),
        byteorder=layout.order,
        bigtiff=array.nbytes > _CLASSIC_LIMIT,
        photometric="rgb" if array.shape[2] >= 3 else "minisblack",
        planarconfig="contig" if array.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if photo.alpha is not None else None,
        compression="zlib",
        predictor=array.dtype.kind == "u",  # for floats, tifffile would need imagecodecs
        iccprofile=photo.icc_profile,
        resolution=photo.dpi,
        resolutionunit="INCH" if photo.dpi else None,
        software=False,
        metadata=None,
    )
    if photo.xmp:
        tags = (*tags, Tag(_XMP, _BYTE, len(photo.xmp), photo.xmp, 0, 0))
    return _with_tags(buffer, tags).getvalue()


def _with_tags(file: io.BytesIO, added: tuple[Tag, ...]) -> io.BytesIO:
    """The file with a directory of its own tags and the added ones; its own go first."""
    if not added:
        return file
    content = file.getvalue()
    layout, at = layout_of(content)
    own = read_directory(content, at, layout)[0]
    codes = {tag.code for tag in own}
    end = file.seek(0, io.SEEK_END)
    end += file.write(bytes(end % 2))
    file.write(write_directory((*own, *(tag for tag in added if tag.code not in codes)), end, layout))
    file.seek(8 if layout.is_big else 4)
    file.write(struct.pack(layout.place, end))
    return file
