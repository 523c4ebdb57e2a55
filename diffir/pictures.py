"""Pictures of every kind that a Python program may hold, as photos and back, and ``diffir.read`` and ``diffir.write``.

In: a PIL image, a numpy array (H x W, or H x W x 1 to 4), a torch tensor (C x H x W, or H x W) or a ``Photo``. Out: a
``Photo``, whose colour and alpha are separate arrays; and a photo turned back into the kind it was made from. This
module does not import torch, so that reading and writing files stays fast.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from diffir.errors import ImageError, UsageError
from diffir.image_io import MAX_PIXELS, Animation, Content, Pages, Photo, read_file, read_image, write_image
from diffir.image_io.colour import plain_array

if TYPE_CHECKING:
    from torch import Tensor

Picture: TypeAlias = "np.ndarray | Tensor | Image.Image | Photo"
"""One picture in memory."""

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_CONVERTED_MODES = ("CMYK", "LAB", "YCbCr", "HSV")  # their profile does not fit the RGB pixels
_FARTHEST = 2.0  # a PIL image of floats may exceed white by noise; larger values mean that white is not 1
_LARGEST_DEEP = 65535


def read(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Content:
    """Read an image file: a ``Photo``, or an ``Animation`` or ``Pages`` if it has several frames or pages.

    A photo has ``pixels`` (H x W x 3 RGB or H x W x 1 grey, upright, in the depth of the file), ``alpha`` (H x W or
    None) and the metadata of the file. ``diffir.write`` and ``Restorer.restore`` take it as it is.

    Raises:
        ImageError: the file does not exist, is damaged, no image, or has more than ``max_pixels``.
        MissingDependency: the package that reads this format is not installed.
    """
    return read_file(path, max_pixels=max_pixels)


def write(path: str | Path, picture: "Picture | Content", *, quality: int = 95) -> None:
    """Write a picture of any kind in the format of the suffix; the file appears complete or not at all.

    Args:
        quality: 1-100, for JPEG, WebP and AVIF.
    Raises:
        UsageError: the quality is out of range.
        ImageError: the suffix is unknown, this is no picture, or the file cannot be written.
    """
    content: Any = getattr(picture, "content", picture)  # a ``Restored`` holds its photo or animation
    is_several = isinstance(content, Animation | Pages)
    write_image(path, content if is_several else to_photo(content), quality=quality)


def is_tensor(picture: object) -> bool:
    """Return whether this is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(picture, torch.Tensor)


def to_photo(picture: Picture) -> Photo:
    """Split a picture into colour and alpha; arrays are not copied where that is not needed.

    Raises:
        ImageError: this is no picture that a photo can hold.
    """
    if isinstance(picture, Photo):
        return picture
    if isinstance(picture, Image.Image):
        return _of_pil(picture)
    if is_tensor(picture):
        return _of_array(_array_of_tensor(picture))
    if isinstance(picture, np.ndarray):
        return _of_array(picture)
    raise ImageError(
        f"{type(picture).__name__} is no picture: give a path, a PIL image, a numpy array (H x W x C), a torch tensor "
        "(C x H x W) or a Photo"
    )


def as_kind_of(photo: Photo, given: Picture) -> Any:
    """Turn a restored photo into the kind of the picture it was made from: its type, data type, device and axes."""
    if isinstance(given, Photo):
        return photo
    if isinstance(given, Image.Image):
        return _as_pil(photo, given)
    array = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    if is_tensor(given):
        return _as_tensor(array, given)
    assert isinstance(given, np.ndarray)
    array = array.astype(given.dtype, copy=False)
    return array[:, :, 0] if given.ndim == 2 else array


def to_mask(mask: "Picture | str | Path") -> np.ndarray:
    """Return a mask of any kind, or that of a file, as (H, W): above 0 where pixels are missing."""
    photo = read_image(mask) if isinstance(mask, str | Path) else to_photo(_without_batch(mask))
    return photo.pixels.max(axis=2)


def to_pil(photo: Photo) -> Image.Image:
    """Return a photo as PIL image: L, LA, RGB or RGBA for 8 bit, I;16 for grey of 16 bit, F for grey floats.

    Raises:
        ImageError: PIL has no mode for colour of more than 8 bit.
    """
    array = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    if array.dtype != np.uint8 and array.shape[2] > 1:
        raise ImageError(f"PIL holds colour of 8 bit only, and these pixels are {array.dtype}; use the array")
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else np.ascontiguousarray(array))


def _of_array(array: np.ndarray) -> Photo:
    # Grey without an axis for channels, and what is no picture.
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        hint = "; move the channels to the end" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        sides = " x ".join(map(str, array.shape))
        raise ImageError(f"an array is H x W, or H x W x C with 1 to 4 channels, not {sides}{hint}")
    # OpenCV, which works on alpha, has no half floats.
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.shape[2] in (1, 3):
        return Photo(array)
    return Photo(array[:, :, :-1], np.ascontiguousarray(array[:, :, -1]))


def _array_of_tensor(tensor: Any) -> np.ndarray:
    """Turn a tensor H x W or C x H x W into an array H x W x C; bfloat16 becomes float32."""
    if tensor.ndim not in (2, 3):
        raise ImageError(f"a tensor is H x W, C x H x W or B x C x H x W, not {' x '.join(map(str, tensor.shape))}")
    tensor = tensor.detach().cpu()
    array = (tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor).numpy()
    return array if array.ndim == 2 else np.moveaxis(array, 0, 2)


def _as_tensor(array: np.ndarray, given: Any) -> Any:
    import torch

    channels_first = array[:, :, 0] if given.ndim == 2 else np.moveaxis(array, 2, 0)
    return torch.from_numpy(np.ascontiguousarray(channels_first)).to(given.device, given.dtype)


def _of_pil(image: Image.Image) -> Photo:
    if image.mode == "F":
        array = np.asarray(image)
        if array.size and float(np.abs(array).max()) > _FARTHEST:
            raise ImageError(f"PIL image of floats up to {np.abs(array).max():g}, but white is 1; divide them first")
        return Photo(array[:, :, None])
    if image.mode in (*_DEEP_MODES, "I"):
        array = np.asarray(image)
        if array.size and not 0 <= int(array.min()) <= int(array.max()) <= _LARGEST_DEEP:
            raise ImageError(f"PIL image of mode {image.mode} with values outside 0 to {_LARGEST_DEEP}")
        return Photo(array.astype(np.uint16)[:, :, None])
    return _of_array(plain_array(image)[0])


def _as_pil(photo: Photo, given: Image.Image) -> Image.Image:
    """Make a PIL image of the mode of the given one, or of L, LA, RGB or RGBA if that mode cannot hold the result."""
    image = to_pil(photo)
    if given.mode == "I":
        image = image.convert("I")
    dropped = ("transparency", "icc_profile") if given.mode in _CONVERTED_MODES else ("transparency",)
    image.info = {key: value for key, value in given.info.items() if key not in dropped}
    return image


def _without_batch(mask: Any) -> Any:
    """Drop the leading axis of a mask (1, H, W, ...) of numpy or torch that has one axis too many."""
    return mask[0] if is_tensor(mask) and mask.ndim == 4 and len(mask) == 1 else mask


def is_batch(picture: object) -> bool:
    """Return whether this holds several pictures: a list or tuple, an array B x H x W x C, a tensor B x C x H x W."""
    has_four_axes = (is_tensor(picture) or isinstance(picture, np.ndarray)) and getattr(picture, "ndim", 0) == 4
    return has_four_axes or isinstance(picture, list | tuple)


def joined(results: Sequence[Any], given: object) -> Any:
    """Join the results of a batch in the form of the given one: a list, or an array or a tensor with a first axis.

    Raises:
        UsageError: the batch is empty.
    """
    if not results:
        raise UsageError("the batch is empty: give at least one picture")
    if isinstance(given, np.ndarray):
        return np.stack(results)
    if is_tensor(given):
        import torch

        return torch.stack(list(results))
    return list(results)
