"""Fingerprints of images: equal pixels whatever the file, equal looks whatever size and compression, equal places.

In: images H x W x C. Out: a SHA-256 of the pixels; a 64-bit perceptual hash (signs of the lowest frequencies of a
cosine transform, Zauner 2010), of which near duplicates differ in few bits; and such hashes around an image's local
maxima, which a crop of it shares. Mirror images look different.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from diffir.pixels import to_float

_SIDE, _LOWEST = 32, 8
_AROUND = 16  # pixels from a local maximum to the border of its window
_COMMON = 20  # images: a window in more of them is a pattern and no place
_FLAT = 0.01  # standard deviation of the small grey image, white being 1: below, a look is noise
_BLOCK = 1024  # hashes compared with all others at once: 8 bytes x 1024 x all


def grey(image: np.ndarray) -> np.ndarray:
    """H x W float32, white at 1, of RGB or grey of any type."""
    plane = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.shape[2] == 3 else image[:, :, 0]
    return to_float(plane).astype(np.float32, copy=False)


def pixels_sha256(image: np.ndarray) -> str:
    """Of size, type and values."""
    header = f"{image.shape} {image.dtype}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(image).tobytes()).hexdigest()


def listing_hash(hashes: Iterable[str]) -> str:
    """SHA-256 of the sorted hashes of a set's images, one a line: what a card states of the whole set."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def look(image: np.ndarray) -> int | None:
    """Perceptual hash, 64 bits; None for an image without structure."""
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
    beside = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)  # a white sky is no maximum
    is_highest = (blurred >= cv2.dilate(blurred, around)) & (blurred > cv2.dilate(blurred, beside))
    tops, lefts = np.nonzero(is_highest[_AROUND:-_AROUND, _AROUND:-_AROUND])
    windows = (blurred[top : top + _SIDE, left : left + _SIDE] for top, left in zip(tops, lefts, strict=True))
    return np.array(sorted({_signs(window) for window in windows if window.std() >= _FLAT}), np.uint64)


def near_pairs(left: Sequence[int], right: Sequence[int], max_distance: int) -> list[tuple[int, int, int]]:
    """(place in ``left``, place in ``right``, bits that differ) of all pairs that differ in few bits."""
    found = []
    lefts, rights = np.array(left, np.uint64), np.array(right, np.uint64)
    for start in range(0, len(lefts), _BLOCK):
        differing = _count_bits(lefts[start : start + _BLOCK, None] ^ rights[None])
        for row, column in np.argwhere(differing <= max_distance).tolist():
            found.append((start + row, column, int(differing[row, column])))
    return found


def shared_landmarks(left: Sequence[np.ndarray], right: Sequence[np.ndarray], at_least: int) -> list[tuple[int, int]]:
    """(place in ``left``, place in ``right``) of images that share so many landmarks."""
    if not left or not right:
        return []
    hashes, owners = np.concatenate(left), np.repeat(np.arange(len(left)), [len(one) for one in left])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    shared: Counter[tuple[int, int]] = Counter()
    for place, one in enumerate(right):
        first, last = np.searchsorted(hashes, one, "left"), np.searchsorted(hashes, one, "right")
        for start, stop in zip(first.tolist(), last.tolist(), strict=True):
            if stop - start <= _COMMON:
                shared.update((owner, place) for owner in owners[start:stop].tolist())
    return sorted(pair for pair, count in shared.items() if count >= at_least)


def _signs(small: np.ndarray) -> int:
    """The 64 lowest frequencies of 32 x 32 pixels, each above or below their median."""
    lowest = cv2.dct(np.ascontiguousarray(small))[:_LOWEST, :_LOWEST].ravel()
    bits = lowest > np.median(lowest[1:])  # without the mean, which is brightness
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _count_bits(values: np.ndarray) -> np.ndarray:
    """Ones in each uint64, by adding neighbours of 1, 2, 4 bits, then all bytes (Warren, Hacker's Delight, 5-1)."""
    one, two, four = (np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
    values = values - ((values >> np.uint64(1)) & one)
    values = (values & two) + ((values >> np.uint64(2)) & two)
    values = (values + (values >> np.uint64(4))) & four
    return (values * np.uint64(0x0101010101010101)) >> np.uint64(56)
