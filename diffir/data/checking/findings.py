"""Report what is wrong with a surveyed set: faults, which spoil a training or a score, and remarks.

In: surveys. Out: findings, one for each kind. Faults: unreadable files; partners that are missing, of another size or
of another scene; equal images; training images in the validation set; a count or hash that differs from the card.
Remarks: images that are converted on reading, small images, images that look alike.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from diffir.data.cards.cards import DatasetCard
from diffir.data.checking.fingerprints import listing_hash, near_pairs, shared_landmarks
from diffir.data.checking.survey import Entry, ImageFacts, Survey
from diffir.data.photo_names import counted, shortened
from diffir.data.photo_pairs import scale_between
from diffir.errors import PairingError

UNLIKE = (
    0.2  # correlation: pairs of public sets have at least 0.58 (heavy rain), wrong pairs at most 0.11 in absolute value
)
MOVED, ALIKE = 0.1, 0.4  # a shift raises the correlation by more than MOVED, to above ALIKE; aligned pairs gain 0.01
SHARED_PLACES = 8  # windows: crops of one photo share dozens; of 419 x 92 pairs of different photos none shares two


@dataclass(frozen=True)
class Finding:
    """One fault or remark about a part of a set."""

    part: str
    """Title of the part concerned."""
    kind: str
    is_fault: bool
    text: str
    """The finding in words, for the report."""
    names: tuple[str, ...]
    """Names of the images concerned."""


def findings_of(surveyed: Survey, *, near: int) -> list[Finding]:
    """All findings about one part alone.

    Args:
        near: perceptual hashes that differ in at most so many of 64 bits count as alike.
    """
    checks: list[Callable[[Survey], Iterable[Finding]]] = [_unreadable, _pair_sizes, _likeness, _undamaged]
    if not surveyed.part.are_masks:
        checks += [_duplicates, lambda survey: _near_duplicates(survey, near)]
    return [finding for check in [*checks, _kinds, _small] for finding in check(surveyed)]


def leaks(training: Survey, validation: Survey, *, near: int) -> list[Finding]:
    """Find images of the validation part that are also in the training part.

    Each is reported once: as equal pixels, as a near duplicate (see ``findings_of``), or as a crop.
    """
    # Equal pixels.
    left, right = training.clean_images(), validation.clean_images()
    title, other = training.part.title, validation.part.title
    by_pixels = {facts.sha256: name for name, facts in left.items()}
    equal = {name: f"is {by_pixels[facts.sha256]}" for name, facts in right.items() if facts.sha256 in by_pixels}

    # Near duplicates, among the images that are not equal.
    left_names, left_looks = _looks(left, set())
    right_names, right_looks = _looks(right, set(equal))
    close = near_pairs(left_looks, right_looks, near)
    alike = {right_names[b]: f"looks like {left_names[a]} ({bits} of 64 bits differ)" for a, b, bits in close}

    # Crops, among the rest.
    left_names, right_names = list(left), [name for name in right if name not in equal | alike]
    left_places = [left[name].landmarks for name in left_names]
    right_places = [right[name].landmarks for name in right_names]
    crops = {
        right_names[b]: f"shares places with {left_names[a]}"
        for a, b in shared_landmarks(left_places, right_places, SHARED_PLACES)
    }

    kinds = (("leak", "are in", equal), ("near leak", "look like images of", alike), ("crop leak", "overlap", crops))
    return [
        Finding(title, kind, True, f"{len(found)} of {len(right)} images of {other} {words} {title}", _listed(found))
        for kind, words, found in kinds
        if found
    ]


def against_card(surveyed: Survey, card: DatasetCard) -> list[Finding]:
    """Compare number and pixels of the images with the count and the hash that a card states."""
    title, found = surveyed.part.title, []
    if card.count is not None and len(surveyed.entries) != card.count:
        text = f"{counted(len(surveyed.entries), 'image')}, the complete set has {card.count}"
        found.append(Finding(title, "count", True, text, ()))
    hashes = [facts.sha256 for facts in surveyed.clean_images().values()]
    if card.pixels_sha256 and not found and listing_hash(hashes) != card.pixels_sha256:
        text = "pixels differ from those of the card: another version of the set, or changed images"
        found.append(Finding(title, "hash", True, text, ()))
    return found


def scale_mismatch(surveyed: Survey, scale: int) -> list[Finding]:
    """Find pairs whose scale is not that of the network."""
    others = tuple(entry.clean_name for entry in surveyed.entries if _scale(entry) not in (None, scale))
    text = f"{counted(len(others), 'pair')} whose scale is not {scale}, the scale of the network"
    return [Finding(surveyed.part.title, "scale", True, text, others)] if others else []


def _unreadable(surveyed: Survey) -> Iterator[Finding]:
    reasons = [e.clean for e in surveyed.entries if isinstance(e.clean, str)]
    reasons += [e.degraded for e in surveyed.entries if isinstance(e.degraded, str)]
    reasons = list(dict.fromkeys(reasons))  # a clean photo with several partners is read several times
    if reasons:
        text = f"{counted(len(reasons), 'file')} cannot be read"
        yield Finding(surveyed.part.title, "unreadable", True, text, tuple(reasons))


def _pair_sizes(surveyed: Survey) -> Iterator[Finding]:
    title, wrong, scales = surveyed.part.title, [], Counter[int]()
    for entry in surveyed.entries:
        if isinstance(entry.clean, ImageFacts) and isinstance(entry.degraded, ImageFacts):
            scale = _scale(entry)
            if scale is None:
                wrong.append(f"{entry.clean_name}: {_size(entry.clean)} with {_size(entry.degraded)}")
            else:
                scales[scale] += 1
    if wrong:
        yield Finding(title, "pair size", True, f"{counted(len(wrong), 'pair')} of sizes that do not fit", tuple(wrong))
    if len(scales) > 1:
        listing = ", ".join(f"{count} of scale {scale}" for scale, count in sorted(scales.items()))
        rare = [e.clean_name for e in surveyed.entries if _scale(e) not in (None, scales.most_common(1)[0][0])]
        yield Finding(title, "scale", True, f"pairs of several scales: {listing}", tuple(rare))


def _likeness(surveyed: Survey) -> Iterator[Finding]:
    # A shifted pair has a low correlation, too, so the shift is tested first.
    unlike, moved = [], []
    for entry in surveyed.entries:
        alike = entry.likeness
        if alike is None or _scale(entry) is None:
            continue
        if alike.correlation_moved > max(alike.correlation + MOVED, ALIKE):
            right, down = alike.shift
            moved.append(f"{entry.clean_name}: by about {right:+.0f}, {down:+.0f} pixels")
        elif alike.correlation < UNLIKE:
            unlike.append(f"{entry.clean_name} and {entry.degraded_name}: correlation {alike.correlation:.2f}")
    title = surveyed.part.title
    if unlike:
        yield Finding(
            title, "unlike", True, f"{counted(len(unlike), 'pair')} of images that show different things", tuple(unlike)
        )
    if moved:
        yield Finding(
            title,
            "shifted",
            True,
            f"{counted(len(moved), 'pair')} of images that are shifted against each other",
            tuple(moved),
        )


def _undamaged(surveyed: Survey) -> Iterator[Finding]:
    same = tuple(
        entry.clean_name
        for entry in surveyed.entries
        if isinstance(entry.clean, ImageFacts)
        and isinstance(entry.degraded, ImageFacts)
        and entry.clean.sha256 == entry.degraded.sha256
    )
    if same:
        yield Finding(
            surveyed.part.title,
            "undamaged",
            True,
            f"{counted(len(same), 'pair')} without degradation: the partner equals the clean image",
            same,
        )


def _duplicates(surveyed: Survey) -> Iterator[Finding]:
    """Find equal images or pairs, which are a fault.

    One clean image under several names, each with a partner of its own, is only a remark.
    """
    # Group names by the pixels of the pair, and by the pixels of the clean image alone.
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    clean: dict[str, list[str]] = defaultdict(list)
    for entry in surveyed.entries:
        if isinstance(entry.clean, ImageFacts):
            partner = entry.degraded.sha256 if isinstance(entry.degraded, ImageFacts) else ""
            groups[entry.clean.sha256, partner].append(entry.degraded_name or entry.clean_name)
            if entry.clean_name not in clean[entry.clean.sha256]:
                clean[entry.clean.sha256].append(entry.clean_name)
    title = surveyed.part.title
    equal = _repeated(groups.values())
    if equal:
        what = "pair" if surveyed.part.degraded is not None else "image"
        yield Finding(title, "duplicate", True, f"{counted(len(equal), what)} stored more than once", equal)
    shared = _repeated(clean.values()) if not equal else ()
    if shared:
        text = f"{counted(len(shared), 'clean image')} under several names"
        yield Finding(title, "shared clean image", False, text, shared)


def _near_duplicates(surveyed: Survey, near: int) -> Iterator[Finding]:
    images = surveyed.clean_images()
    names, looks = _looks(images, set())
    words = tuple(
        f"{names[a]} and {names[b]} ({bits} of 64 bits differ)"
        for a, b, bits in near_pairs(looks, looks, near)
        if a < b and images[names[a]].sha256 != images[names[b]].sha256
    )
    if words:
        yield Finding(
            surveyed.part.title,
            "near duplicate",
            False,
            f"{counted(len(words), 'pair')} of images that look alike",
            words,
        )


def _kinds(surveyed: Survey) -> Iterator[Finding]:
    """Report images that reading converts to 8-bit RGB; masks are always converted and not reported."""
    if surveyed.part.are_masks:
        return
    groups: dict[str, list[str]] = defaultdict(list)
    for entry in surveyed.entries:
        for name, facts in ((entry.clean_name, entry.clean), (entry.degraded_name, entry.degraded)):
            if name is not None and isinstance(facts, ImageFacts) and facts.kinds:
                groups[", ".join(facts.kinds)].append(name)
    for kinds, found in groups.items():
        names = tuple(dict.fromkeys(found))
        text = f"{counted(len(names), 'file')} of kind {kinds}: read as 8-bit RGB"
        yield Finding(surveyed.part.title, "kind", False, text, names)


def _small(surveyed: Survey) -> Iterator[Finding]:
    side = surveyed.part.patch
    small = tuple(n for n, facts in surveyed.clean_images().items() if min(facts.height, facts.width) < side)
    if small:
        text = f"{counted(len(small), 'image')} smaller than the patch of {side}: mirrored to its size in training"
        yield Finding(surveyed.part.title, "small", False, text, small)


def _scale(entry: Entry) -> int | None:
    """Scale of a pair; None without a partner or if the sizes do not fit."""
    if not isinstance(entry.clean, ImageFacts) or not isinstance(entry.degraded, ImageFacts):
        return None
    lq, gt = ((facts.height, facts.width) for facts in (entry.degraded, entry.clean))
    try:
        return scale_between(lq, gt, entry.clean_name)
    except PairingError:
        return None


def _looks(images: dict[str, ImageFacts], without: set[str]) -> tuple[list[str], list[int]]:
    found = {name: facts.look for name, facts in images.items() if name not in without}
    kept = {name: bits for name, bits in found.items() if bits is not None}
    return list(kept), list(kept.values())


def _size(facts: ImageFacts) -> str:
    return f"{facts.width} x {facts.height}"


def _listed(found: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name} {words}" for name, words in found.items())


def _repeated(groups: Iterable[list[str]]) -> tuple[str, ...]:
    return tuple(f"the same: {shortened(names)}" for names in groups if len(names) > 1)
