"""Fingerprints find equal pixels, near duplicates and crops."""

import cv2
import numpy as np
import pytest

from diffir.data.checking.fingerprints import landmarks, listing_hash, look, near_pairs, pixels_sha256, shared_landmarks
from diffir.data.checking.likeness import likeness


def bits(left: int, right: int) -> int:
    return (left ^ right).bit_count()


def test_pixels_alone_decide_over_equality(noise) -> None:
    image = noise(1)

    assert pixels_sha256(image) == pixels_sha256(np.asfortranarray(image))
    assert pixels_sha256(image) != pixels_sha256(image.reshape(50, 40, 3))
    assert listing_hash(["b", "a"]) == listing_hash(["a", "b"]) != listing_hash(["a", "c"])


@pytest.mark.parametrize("seed", range(4))
def test_compression_and_size_leave_the_look_alone(scene, seed: int) -> None:
    image = scene(seed)
    packed = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)

    assert bits(look(image), look(packed)) <= 6
    assert bits(look(image), look(cv2.resize(image, None, fx=2, fy=2))) <= 6
    assert bits(look(image), look(scene(seed + 50))) > 14


def test_an_image_without_structure_looks_like_nothing() -> None:
    assert look(np.full((40, 40, 3), 90, np.uint8)) is None


@pytest.mark.parametrize("distance", [0, 1, 3])
def test_near_pairs_are_those_of_few_different_bits(distance: int) -> None:
    left = np.random.default_rng(0).integers(0, 2**63, 50).tolist()
    right = [value ^ (2**63 + 2**5 + 1) for value in left]

    assert near_pairs(left, left, distance) == [(k, k, 0) for k in range(50)]
    assert near_pairs(left, right, distance) == ([(k, k, 3) for k in range(50)] if distance == 3 else [])


def test_a_crop_shares_places_with_its_photo_and_another_photo_does_not(scene) -> None:
    photo, other = scene(1, 400, 500), scene(60, 400, 500)

    found = shared_landmarks([landmarks(photo), landmarks(other)], [landmarks(photo[150:350, 200:450])], at_least=4)

    assert found == [(0, 0)]


def test_an_image_too_small_for_a_place_has_none(noise) -> None:
    assert landmarks(noise(1, 20, 20)).size == 0
    assert shared_landmarks([], [landmarks(noise(1))], 1) == []


@pytest.mark.parametrize("scale", [1, 4])
def test_a_damaged_image_is_like_its_clean_one_and_unlike_others(scene, noise, scale: int) -> None:
    clean = scene(1, 320, 400)
    damaged = cv2.resize(clean, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA) * 0.3
    damaged = np.clip(damaged + noise(9, *damaged.shape[:2]) * 0.2, 0, 255).astype(np.uint8)

    right, wrong = likeness(damaged, clean), likeness(damaged, scene(77, 320, 400))

    assert right.correlation > 0.5
    assert max(map(abs, right.shift)) < 1
    assert abs(wrong.correlation) < 0.3


def test_a_moved_partner_is_said_to_have_moved(scene) -> None:
    clean = scene(1, 200, 240)

    found = likeness(clean[5:165, 12:212], clean[:160, :200])

    assert np.allclose(found.shift, (-12, -5), atol=0.5)
    assert found.correlation_moved > found.correlation + 0.1


def test_images_without_structure_cannot_be_compared() -> None:
    flat = np.full((40, 40, 3), 90, np.uint8)

    assert likeness(flat, flat) is None
