"""Write a photo as TIFF: tifffile writes the pixels with deflate compression, this module adds EXIF, GPS and XMP.

In: a ``Photo`` of uint8, uint16 or float32. Out: a file's bytes. tifffile cannot write subdirectories, so a new first
directory is appended, with tifffile's own entries and those of EXIF, GPS and XMP. The file has the byte order of the
EXIF block, so that its values can be copied unchanged. Source: TIFF 6.0, section 2; XMP part 3 (tag 700).
"""

import io
import struct

import tifffile

from diffir.image_io.animation import frame_array
from diffir.image_io.metadata import exif_tags
from diffir.image_io.photo import Photo, flat_if_grey
from diffir.image_io.tags import Tag, layout_of, read_directory, write_directory

_XMP, _BYTE = 700, 1
_CLASSIC_LIMIT = 2**32 - 2**25  # bytes of pixels; offsets have 32 bits, and metadata need some room


def encode_tiff(photo: Photo) -> bytes:
    """Encode a photo as a TIFF of one page; colour is not multiplied with alpha."""
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
    """Append a directory of the file's own tags and the added ones; of two with one code, its own is kept."""
    if not added:
        return file
    content = file.getvalue()
    layout, at = layout_of(content)
    own = read_directory(content, at, layout)[0]
    codes = {tag.code for tag in own}
    # Append the directory at an even offset, and let the header point to it.
    end = file.seek(0, io.SEEK_END)
    end += file.write(bytes(end % 2))
    file.write(write_directory((*own, *(tag for tag in added if tag.code not in codes)), end, layout))
    file.seek(8 if layout.is_big else 4)
    file.write(struct.pack(layout.place, end))
    return file
