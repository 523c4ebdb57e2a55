"""Fingerprints of images, which find equal pixels, near duplicates and crops.

In: images H x W x C. Out: a SHA-256 of the pixels, equal for every lossless format; a 64-bit perceptual hash (signs of
the lowest frequencies of a cosine transform, Zauner 2010), which differs in few bits between near duplicates of any
size and compression; and such hashes of windows around local maxima, which a crop shares with its photo. Mirrored
images have different hashes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from diffir.pixels import to_float

_SIDE, _LOWEST = 32, 8  # side in pixels of a hashed window, and of its lowest frequencies that are used
_AROUND = 16  # pixels from a local maximum to the border of its window
_COMMON = 20  # a window that occurs in more images is a common pattern and identifies none of them
_FLAT = 0.01  # standard deviation of the grey window (white is 1) below which its hash is noise
_BLOCK = 1024  # hashes compared with all others at once, which takes 8 bytes x 1024 x number of others


def grey(image: np.ndarray) -> np.ndarray:
    """Convert an RGB or grey image of any type to H x W float32 with white at 1."""
    plane = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.shape[2] == 3 else image[:, :, 0]
    return to_float(plane).astype(np.float32, copy=False)


def pixels_sha256(image: np.ndarray) -> str:
    """SHA-256 of shape, type and pixel values."""
    header = f"{image.shape} {image.dtype}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(image).tobytes()).hexdigest()


def listing_hash(hashes: Iterable[str]) -> str:
    """SHA-256 of the sorted hashes of all images, one per line; a card states it for its whole set."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def look(image: np.ndarray) -> int | None:
    """Perceptual hash of 64 bits; None for an image without structure."""
    small = cv2.resize(grey(image), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    if small.std() < _FLAT:
        return None
    return _signs(small)


def landmarks(image: np.ndarray) -> np.ndarray:
    """Hashes (uint64) of windows of 32 x 32 pixels around local maxima; a crop keeps those that lie inside it."""
    if min(image.shape[:2]) <= _SIDE:
        return np.zeros(0, np.uint64)
    blurred = cv2.GaussianBlur(grey(image), (0, 0), 2.0)
    around = np.ones((2 * _AROUND + 1, 2 * _AROUND + 1), np.uint8)
    beside = np.array(
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8
    )  # strictly above its neighbours, so that an overexposed sky is no maximum
    is_highest = (blurred >= cv2.dilate(blurred, around)) & (blurred > cv2.dilate(blurred, beside))
    tops, lefts = np.nonzero(is_highest[_AROUND:-_AROUND, _AROUND:-_AROUND])
    windows = (blurred[top : top + _SIDE, left : left + _SIDE] for top, left in zip(tops, lefts, strict=True))
    return np.array(sorted({_signs(window) for window in windows if window.std() >= _FLAT}), np.uint64)


def near_pairs(left: Sequence[int], right: Sequence[int], max_distance: int) -> list[tuple[int, int, int]]:
    """All (index in ``left``, index in ``right``, differing bits) with at most ``max_distance`` differing bits."""
    found = []
    lefts, rights = np.array(left, np.uint64), np.array(right, np.uint64)
    for start in range(0, len(lefts), _BLOCK):
        differing = _count_bits(lefts[start : start + _BLOCK, None] ^ rights[None])
        for row, column in np.argwhere(differing <= max_distance).tolist():
            found.append((start + row, column, int(differing[row, column])))
    return found


def shared_landmarks(left: Sequence[np.ndarray], right: Sequence[np.ndarray], at_least: int) -> list[tuple[int, int]]:
    """All (index in ``left``, index in ``right``) of images that share ``at_least`` landmarks."""
    if not left or not right:
        return []
    # Sort the landmarks of all left images, with the image that each belongs to.
    hashes, owners = np.concatenate(left), np.repeat(np.arange(len(left)), [len(one) for one in left])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]

    # Look up the landmarks of every right image and count common ones per pair of images.
    shared: Counter[tuple[int, int]] = Counter()
    for place, one in enumerate(right):
        first, last = np.searchsorted(hashes, one, "left"), np.searchsorted(hashes, one, "right")
        for start, stop in zip(first.tolist(), last.tolist(), strict=True):
            if stop - start <= _COMMON:
                shared.update((owner, place) for owner in owners[start:stop].tolist())
    return sorted(pair for pair, count in shared.items() if count >= at_least)


def _signs(small: np.ndarray) -> int:
    """Hash a window of 32 x 32 pixels: 64 bits that tell which of its lowest frequencies lie above their median."""
    lowest = cv2.dct(np.ascontiguousarray(small))[:_LOWEST, :_LOWEST].ravel()
    bits = lowest > np.median(lowest[1:])  # the first coefficient is brightness and is left out of the median
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _count_bits(values: np.ndarray) -> np.ndarray:
    """Number of ones in each uint64, summed over 2, 4 and 8 bits, then over bytes (Warren, Hacker's Delight, 5-1)."""
    one, two, four = (np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
    values = values - ((values >> np.uint64(1)) & one)
    values = (values & two) + ((values >> np.uint64(2)) & two)
    values = (values + (values >> np.uint64(4))) & four
    return (values * np.uint64(0x0101010101010101)) >> np.uint64(56)
