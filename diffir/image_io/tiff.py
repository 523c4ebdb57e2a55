"""Read TIFF files: this module reads and interprets the tags, OpenCV's libtiff unpacks compressed pixels.

In: a file's bytes, classic or BigTIFF. Out: a photo of 8 or 16 bit, or of float32; grey or RGB. Several pages are a
photo each. CMYK is converted through its profile. Fax, JPEG and other codecs inside TIFF go to Pillow, which gives 8
bit. No single library keeps everything: OpenCV multiplies 8-bit colour with alpha, Pillow reduces 16 bit to 8, and
tifffile does not decode LZW. Source: TIFF 6.0, sections 2-18.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, UnidentifiedImageError

from diffir.errors import ImageError
from diffir.image_io.colour import plain_array
from diffir.image_io.libtiff_words import caught_words
from diffir.image_io.metadata import ORIENTATION, exif_of_tiff
from diffir.image_io.photo import Limits, Pages, Photo
from diffir.image_io.tags import Tag, TagLayout, layout_of, read_directory
from diffir.image_io.tiff_segments import Segments, unpack
from diffir.image_io.upright import Carried, upright_photo
from diffir.pixels import to_float, to_kind, white

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5  # photometric
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_LOSSLESS = (1, 5, 8, 32773, 32946)  # compression: none, LZW, deflate, PackBits, deflate under its older number
_UNSPECIFIED, _ASSOCIATED, _UNASSOCIATED = 0, 1, 2  # samples beside colour: of no stated meaning, two kinds of alpha
_FAR_OUTSIDE = 1.0  # noise exceeds [0, 1] by less; scientific files with values from 0 to 255 exceed it by more
_IPTC = (33723, 34377)  # the tag of IPTC itself, and that of Photoshop's blocks, which hold it
_MOST_SAMPLES = 16  # per pixel; a matter of taste, to refuse absurd headers
_MOST_PAGES = 100_000
_NO_PAGE, _PREVIEW = 1 | 4, 2  # tag 254: smaller copy, mask; the older tag 255: smaller copy


@dataclass(frozen=True)
class Page:
    """One picture of a TIFF file: the tags of its directory by their code."""

    tags: dict[int, Tag]
    layout: TagLayout
    at: int
    """Offset in bytes of the directory."""

    def numbers(self, code: int, default: int) -> tuple[int, ...]:
        """Return all whole numbers of a tag; ``(default,)`` if it is missing or of another kind."""
        tag = self.tags.get(code)
        kind = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}.get(tag.kind) if tag else None
        if tag is None or kind is None:
            return (default,)
        return tuple(np.frombuffer(tag.value, self.layout.order + kind).tolist())

    def number(self, code: int, default: int = 0) -> int:
        """Return the first whole number of a tag."""
        return self.numbers(code, default)[0]

    def ratio(self, code: int) -> float:
        """Return the value of a tag that is a rational number; 0 if it is missing or of another kind."""
        tag = self.tags.get(code)
        if tag is None or tag.kind != 5:
            return 0.0
        over, under = struct.unpack_from(self.layout.order + "2I", tag.value)
        return over / under if under else 0.0

    def raw(self, code: int) -> bytes | None:
        """Return the raw bytes of a tag; None if it is missing."""
        tag = self.tags.get(code)
        return tag.value if tag is not None else None


ByPillow = Callable[[bytes, Limits], Photo]


def read_tiff(content: bytes, limits: Limits, by_pillow: ByPillow) -> Photo | Pages:
    """Read the photo or the pages in a TIFF file; ``by_pillow`` decodes the kinds of TIFF that this module does not."""
    pages = _pages(content)
    sizes = [(page.number(256), page.number(257)) for page in pages]
    notes = []
    if len(pages) > 1 and not limits.animations:
        # Scanners and microscopes write pages of one size, none of which is the photo.
        if sizes.count(sizes[0]) > 1:
            raise ImageError(f"a TIFF of {len(pages)} pages; only single images can be used here")
        notes = [f"the first of {len(pages)} pages"]
        pages, sizes = pages[:1], sizes[:1]
    # Check the size of each page and of all together before decoding.
    for size in sizes:
        limits.check(*size)
    together = sum(width * height for width, height in sizes)
    if together > limits.max_pixels:
        raise ImageError(
            f"{len(pages)} pages of {together} pixels are more than {limits.max_pixels}; --max_pixels raises that limit"
        )
    photos = tuple(_read_page(content, page, limits, by_pillow, notes) for page in pages)
    return photos[0] if len(photos) == 1 else Pages(photos)


def _read_page(content: bytes, page: Page, limits: Limits, by_pillow: ByPillow, notes: Sequence[str]) -> Photo:
    # Collect the metadata.
    notes = list(notes)
    carried: Carried = {
        "icc_profile": page.raw(34675),
        "exif": exif_of_tiff(content, page.at),
        "xmp": page.raw(700),
        "dpi": _dpi(page),
    }
    if not page.tags.keys().isdisjoint(_IPTC):
        notes.append("IPTC left out")
    # Leave pixels in unusual codecs to Pillow.
    if not _is_plain(page):
        try:
            with caught_words() as words:
                photo = by_pillow(_beginning_with(content, page), limits)
        except UnidentifiedImageError as error:
            kind = f"compression {page.number(259, 1)}, photometric {page.number(262, -1)}, {page.number(258, 1)} bit"
            raise ImageError(
                f"a TIFF of a kind that cannot be read ({kind}); save it with LZW or deflate compression"
            ) from error
        notes += [f"damaged in parts ({words[0]})"] if words else []
        return _with_carried(photo, carried, notes)
    # Decode all others, and convert them to grey or RGB with black at 0.
    array, infrared = _samples(content, page), None
    if page.number(262) == _CMYK:
        rgb, note = _cmyk_as_rgb(array[:, :, :4], carried["icc_profile"])
        notes += [note, "16 bit became 8 bit"] if array.dtype == np.uint16 else [note]
        carried["icc_profile"], array, is_grey = None, rgb, False
    else:
        (array, infrared), is_grey = _colour_and_others(array, page, notes), page.number(262) != _RGB
    orientation = page.number(ORIENTATION, 0)
    carried["note"] = ", ".join(notes)
    return upright_photo(
        array,
        is_grey=is_grey,
        orientation=orientation if 1 <= orientation <= 8 else None,
        infrared=infrared,
        **carried,
    )


def _pages(content: bytes) -> list[Page]:
    """Return the directories of all pictures without smaller copies (previews) and masks; the first one counts always.

    Raises:
        ImageError: there is no picture.
    """
    # Read all directories; those behind a damaged one are ignored.
    layout, at = layout_of(content)
    pages: list[Page] = []
    seen = set()
    while at and at not in seen and len(pages) < _MOST_PAGES:
        seen.add(at)
        try:
            tags, next_at = read_directory(content, at, layout)
            following = struct.unpack_from(layout.place, content, next_at)[0]
        except (ValueError, struct.error):
            if not pages:
                raise
            break
        pages.append(Page({tag.code: tag for tag in tags}, layout, at))
        at = following
    if not pages:
        raise ImageError("damaged or truncated (no picture in it)")
    return pages[:1] + [page for page in pages[1:] if not page.number(254) & _NO_PAGE and page.number(255) != _PREVIEW]


def _beginning_with(content: bytes, page: Page) -> bytes:
    """Return the file with a header that points to a page, so that this one is read as the first."""
    at = 8 if page.layout.is_big else 4
    pointer = struct.pack(page.layout.place, page.at)
    if content[at : at + len(pointer)] == pointer:
        return content
    return b"".join([content[:at], pointer, content[at + len(pointer) :]])


def _is_plain(page: Page) -> bool:
    """Return whether the samples are whole bytes, stored without a lossy or fax codec."""
    bits, photometric = page.numbers(258, 1), page.number(262, -1)
    return (
        len(set(bits)) == 1
        and bits[0] in (8, 16, 32, 64)
        and photometric in _COLOURS
        and page.number(259, 1) in _LOSSLESS
        and page.number(266, 1) == 1
    )


def _samples(content: bytes, page: Page) -> np.ndarray:
    """Decode the pixels to H x W x samples of uint8, uint16 or float32."""
    # Check number and type of the samples.
    width, height, samples = page.number(256), page.number(257), page.number(277, 1)
    colours = _COLOURS[page.number(262)]
    if not colours <= samples <= _MOST_SAMPLES:
        raise ImageError(f"damaged: {samples} samples a pixel, where there should be {colours} or a few more")
    name = {1: "uint", 2: "int", 3: "float"}.get(page.number(339, 1), "unknown ")
    bits = page.number(258)
    if (name, bits) not in {("uint", 8), ("uint", 16), ("float", 16), ("float", 32), ("float", 64)}:
        raise ImageError(f"pixels of type {name}{bits}; 8 and 16 bit and float can be read")
    # Locate the strips or tiles of each plane, and unpack them.
    is_tiled = 322 in page.tags
    offsets, sizes = page.numbers(*((324, 0) if is_tiled else (273, 0))), page.numbers(325 if is_tiled else 279, 0)
    if len(sizes) == 1 and not sizes[0]:
        sizes = (len(content),) * len(offsets)
    planes = samples if page.number(284, 1) == 2 else 1
    plane = Segments(
        width,
        height,
        samples // planes,
        np.dtype(f"{page.layout.order}{name[0]}{bits // 8}"),
        segment_width=page.number(322) if is_tiled else width,
        segment_height=page.number(323) if is_tiled else min(page.number(278, height) or height, height),
        is_tiled=is_tiled,
        compression=page.number(259, 1),
        predictor=page.number(317, 1) if page.number(259, 1) != 1 else 1,
        offsets=offsets,
        sizes=sizes,
    )
    _check_tiles(plane)
    arrays = [unpack(content, part) for part in _planes(plane, planes)]
    array = arrays[0] if planes == 1 else np.concatenate(arrays, axis=2)
    if array.dtype.kind != "f":
        return array
    # Check the range of floats.
    array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise ImageError("pixels that are no numbers (NaN or infinite); replace them first")
    lowest, highest = float(array.min()), float(array.max())
    if lowest < -_FAR_OUTSIDE or highest > 1 + _FAR_OUTSIDE:
        raise ImageError(f"pixels from {lowest:g} to {highest:g}, but white is 1 in float files; divide them first")
    return array


def _check_tiles(plane: Segments) -> None:
    """Refuse tiles without pixels, and tiles that together store far more pixels than the picture has."""
    if plane.segment_width < 1 or plane.segment_height < 1:
        raise ImageError("damaged (tiles without pixels)")
    stored = plane.rows * plane.across * plane.segment_width
    if stored > 4 * max(plane.width * plane.height, 2**20):  # a small picture may lie in one tile of 1024 x 1024
        raise ImageError(f"damaged: tiles of {plane.segment_width} x {plane.segment_height} pixels")


def _planes(plane: Segments, count: int) -> list[Segments]:
    """Distribute the segments over the planes, which are stored one after the other."""
    each = plane.across * plane.down
    return [
        replace(plane, offsets=plane.offsets[index * each :], sizes=plane.sizes[index * each :])
        for index in range(count)
    ]


def _colour_and_others(array: np.ndarray, page: Page, notes: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return colour with black at 0 and alpha, if there is one, as the last channel; and a channel of infrared light.

    Colours that the file stores multiplied with alpha are divided by it. The first channel of unspecified meaning is
    taken for infrared light (H x W), as film scanners write it. What is lost is added to ``notes``.
    """
    # Select the colour channels.
    colours = _COLOURS[page.number(262)]
    extras = page.numbers(338, _UNSPECIFIED) if array.shape[2] > colours else ()
    extra = extras[0] if extras else _UNSPECIFIED
    colour = array[:, :, :colours]
    if page.number(262) == _WHITE_IS_ZERO:
        colour = white(array.dtype) - colour
    # Add alpha, keep one channel of unspecified meaning, and leave out others.
    has_alpha = extra in (_ASSOCIATED, _UNASSOCIATED)
    infrared = None
    if _UNSPECIFIED in extras and colours + extras.index(_UNSPECIFIED) < array.shape[2]:
        infrared = array[:, :, colours + extras.index(_UNSPECIFIED)]
    if array.shape[2] > colours + has_alpha + (infrared is not None):
        notes.append("channels beside colour, alpha and infrared left out")
    if not has_alpha:
        return colour, infrared
    alpha = array[:, :, colours : colours + 1]
    if extra == _ASSOCIATED:
        notes.append("colour multiplied with alpha was divided by it")
        opacity = np.maximum(to_float(alpha), 1e-6)
        colour = to_kind(to_float(colour) / opacity, array.dtype)
    return np.concatenate([colour, alpha], axis=2), infrared


def _cmyk_as_rgb(array: np.ndarray, profile: bytes | None) -> tuple[np.ndarray, str]:
    """Convert H x W x 4 CMYK to 8-bit RGB, and return a note on how."""
    inks = array if array.dtype == np.uint8 else to_kind(to_float(array), np.uint8)
    image = Image.fromarray(np.ascontiguousarray(inks), "CMYK")
    if profile:
        image.info["icc_profile"] = profile
    return plain_array(image)


def _dpi(page: Page) -> tuple[float, float] | None:
    """Return the resolution; None if it has no unit (1), since it then states only the shape of a pixel."""
    an_inch = {2: 1.0, 3: 2.54}.get(page.number(296, 2))  # 2: per inch, 3: per centimetre
    across, down = page.ratio(282), page.ratio(283)
    return (across * an_inch, down * an_inch) if an_inch and across > 0 and down > 0 else None


def _with_carried(photo: Photo, carried: Carried, notes: list[str]) -> Photo:
    """Combine the pixels that Pillow decoded, which are upright already, with the metadata read by this module."""
    turned = upright_photo(np.zeros((1, 1, 1), np.uint8), is_grey=True, orientation=1, **carried)
    is_converted = (carried["icc_profile"] or b"")[16:20] in (b"CMYK", b"Lab ")
    return replace(
        photo,
        icc_profile=None if is_converted else turned.icc_profile,
        exif=turned.exif,
        xmp=turned.xmp,
        dpi=turned.dpi,
        note=", ".join(filter(None, [*notes, photo.note])),
    )
