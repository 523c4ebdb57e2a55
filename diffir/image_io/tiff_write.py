"""Write photos as pages of a TIFF: tifffile writes the pixels with deflate, this module adds EXIF, GPS and XMP.

In: photos of uint8, uint16 or float32. Out: a file's bytes. tifffile cannot write subdirectories, so a new directory
is appended for each page, with tifffile's own entries and those of EXIF, GPS and XMP. The file has the byte order of
the first EXIF block, so that its values can be copied unchanged. Source: TIFF 6.0, section 2; XMP part 3 (tag 700).
"""

import io
import struct
from collections.abc import Sequence

import numpy as np
import tifffile

from diffir.image_io.animation import frame_array
from diffir.image_io.metadata import exif_tags
from diffir.image_io.photo import Photo, flat_if_grey
from diffir.image_io.tags import Tag, layout_of, read_directory, reordered, write_directory

_XMP, _BYTE = 700, 1
_ONE_OF_SEVERAL = 2  # tag 254 of a page
_CLASSIC_LIMIT = 2**32 - 2**25  # bytes of pixels; offsets have 32 bits, and metadata need some room


def encode_tiff(photos: Sequence[Photo]) -> bytes:
    """Encode photos as the pages of a TIFF; colour is not multiplied with alpha."""
    blocks = [exif_tags(photo.exif) for photo in photos]
    order = next((layout.order for layout, tags in blocks if tags), blocks[0][0].order)
    is_big = sum(photo.pixels.nbytes * 2 for photo in photos) > _CLASSIC_LIMIT  # with room for alpha and infrared
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=is_big) as writer:
        for photo in photos:
            _write_pixels(writer, photo, is_page=len(photos) > 1)
    # Add the tags of each page in the byte order of the file.
    added = []
    for photo, (layout, tags) in zip(photos, blocks, strict=True):
        tags = tuple(reordered(tag, layout.order, order) for tag in tags)
        xmp = (Tag(_XMP, _BYTE, len(photo.xmp), photo.xmp, 0, 0),) if photo.xmp else ()
        added.append((*tags, *xmp))
    return _with_tags(buffer, added).getvalue()


def _write_pixels(writer: tifffile.TiffWriter, photo: Photo, *, is_page: bool) -> None:
    array = frame_array(photo)
    extras = ["unassalpha"] if photo.alpha is not None else []
    if photo.infrared is not None:
        array, extras = np.dstack([array, photo.infrared]), [*extras, "unspecified"]
    writer.write(
        flat_if_grey(array),
        subfiletype=_ONE_OF_SEVERAL if is_page else 0,
        photometric="rgb" if photo.pixels.shape[2] == 3 else "minisblack",
        planarconfig="contig" if array.shape[2] > 1 else None,
        extrasamples=extras or None,
        compression="zlib",
        predictor=array.dtype.kind == "u",  # for floats, tifffile would need imagecodecs
        iccprofile=photo.icc_profile,
        resolution=photo.dpi,
        resolutionunit="INCH" if photo.dpi else None,
        software=False,
        metadata=None,
    )


def _with_tags(file: io.BytesIO, added: Sequence[tuple[Tag, ...]]) -> io.BytesIO:
    """Append for each page a directory of its own tags and the added ones; of two with one code, its own is kept."""
    content = file.getvalue()
    layout, at = layout_of(content)
    link = 8 if layout.is_big else 4  # offset of the pointer to the directory of the page
    for tags in added:
        own, next_at = read_directory(content, at, layout)
        at = struct.unpack_from(layout.place, content, next_at)[0]
        if not tags:
            link = next_at
            continue
        # Append the directory at an even offset, and let the one before point to it.
        codes = {tag.code for tag in own}
        merged = (*own, *(tag for tag in tags if tag.code not in codes))
        end = file.seek(0, io.SEEK_END)
        end += file.write(bytes(end % 2))
        file.write(write_directory(merged, end, layout))
        file.seek(link)
        file.write(struct.pack(layout.place, end))
        # Let it point to the following one.
        link = end + layout.count_size + len(merged) * layout.entry_size
        file.seek(link)
        file.write(struct.pack(layout.place, at))
    return file
