"""Reading and writing image files. This package alone handles codecs, bit depth, grey, alpha, colour and orientation.

In: a path. Out: a ``Photo``, an ``Animation`` or ``Pages``, upright, in the file's own depth, with its metadata; and
back again. Readers are chosen by the content of a file, not by its name. ``describe_losses`` states before writing what
the target format cannot hold.
"""

from diffir.image_io.formats import IMAGE_SUFFIXES, WRITABLE_SUFFIXES, list_images
from diffir.image_io.jpeg_quality import jpeg_quality
from diffir.image_io.losses import describe_losses, kept_suffix
from diffir.image_io.photo import MAX_PIXELS, Animation, Content, Pages, Photo, frames_of, without_metadata
from diffir.image_io.read import read_file, read_image
from diffir.image_io.write import write_image

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "WRITABLE_SUFFIXES",
    "Animation",
    "Content",
    "Pages",
    "Photo",
    "describe_losses",
    "frames_of",
    "jpeg_quality",
    "kept_suffix",
    "list_images",
    "read_file",
    "read_image",
    "without_metadata",
    "write_image",
]
