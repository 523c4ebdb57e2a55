"""Each estimator measures what it is named after, on images whose answer is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from diffir.diagnosis.blocks import blockiness
from diffir.diagnosis.noise import coarse_noise_level, noise_level
from diffir.diagnosis.sharpness import edge_width
from diffir.diagnosis.tones import colour_cast, shadow_and_light, tones_of, veil
from diffir.diagnosis.views import WHOLE_SIDE, WINDOW, Views
from diffir.image_io import jpeg_quality, read_image

SAMPLES = Path(__file__).resolve().parents[2] / "datasets/samples/clean"


@pytest.fixture(scope="module")
def luma() -> np.ndarray:
    """Brightness of a photo, 0 to 255."""
    return Views.of(read_image(SAMPLES / "houses.png").pixels).luma[0]


def noise(sigma: float, shape: tuple[int, int] = (256, 256)) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sigma, shape).astype(np.float32)


def steps(angle: float) -> np.ndarray:
    """Bars of 16 pixels across a direction in degrees, drawn without blur."""
    rows, columns = np.mgrid[:256, :256].astype(np.float32)
    place = rows * np.sin(np.deg2rad(angle)) + columns * np.cos(np.deg2rad(angle))
    return np.where(place % 32 < 16, 60, 190).astype(np.float32)


@pytest.mark.parametrize("sigma", [2, 5, 10, 25])
def test_the_noise_of_a_ramp_has_its_sigma_and_half_of_it_at_half_size(sigma: float) -> None:
    ramp = np.linspace(90, 160, 256, dtype=np.float32)[None].repeat(256, axis=0)

    image = ramp + noise(sigma)

    assert noise_level([image]) == pytest.approx(sigma, rel=0.12)
    assert coarse_noise_level([image]) == pytest.approx(sigma / 2, rel=0.15)
    assert noise_level([ramp]) < 0.1


def test_noise_is_not_measured_where_it_is_clipped_nor_in_a_few_pixels() -> None:
    assert noise_level([np.maximum(noise(9), 0)]) == noise_level([np.minimum(noise(9) + 255, 255)]) == 0
    assert noise_level([noise(9, (33, 33)) + 128]) == noise_level([]) == 0


def test_noise_of_a_photo_adds_to_what_is_in_it(luma: np.ndarray) -> None:
    before = noise_level([luma])

    assert noise_level([luma + noise(8, luma.shape)]) == pytest.approx(np.hypot(before, 8), rel=0.15)


def test_blocks_are_seen_only_on_the_grid_of_the_file(luma: np.ndarray) -> None:
    saved = cv2.imencode(".jpg", luma.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    blocky = cv2.imdecode(saved, cv2.IMREAD_GRAYSCALE).astype(np.float32)

    assert abs(blockiness([luma])) < 0.05
    assert blockiness([blocky]) > 0.15
    assert blockiness([blocky[3:, 3:]]) < 0.05
    assert blockiness([noise(20) + 128]) < 0.05
    assert blockiness([blocky[:12, :12]]) == 0


@pytest.mark.parametrize("sigma", [0.8, 1.2, 2.0])
@pytest.mark.parametrize("angle", [0, 60, 90])
def test_an_edge_has_the_width_of_its_blur(sigma: float, angle: float) -> None:
    blurred = cv2.GaussianBlur(steps(angle), (0, 0), sigma)

    assert edge_width([blurred]) == pytest.approx(sigma, rel=0.1)


def test_a_shake_in_one_direction_is_seen_beside_sharp_edges_in_the_other() -> None:
    squares = np.where(steps(0) == steps(90), 60, 190).astype(np.float32)

    shaken = cv2.blur(squares, (7, 1))

    assert edge_width([squares]) < 0.6
    assert edge_width([shaken]) > 2


def test_a_blurred_background_is_no_softness() -> None:
    image = steps(0)
    image[:200] = cv2.GaussianBlur(image, (0, 0), 4)[:200]

    assert edge_width([image]) < 0.6
    assert edge_width([np.full((64, 64), 99, np.float32)]) is None


def test_tones_are_read_from_the_whole_photo() -> None:
    photo = np.float32([30, 40, 20]) * np.ones((100, 100, 3), np.float32)
    photo[:50] = (200, 180, 150)

    white, black, red, blue = tones_of(photo)

    assert (black, red, blue) == (20, 200, 150)
    assert white == pytest.approx(0.299 * 200 + 0.587 * 180 + 0.114 * 150)
    assert veil(photo * 0 + 90) == 90
    assert veil(np.kron(np.eye(20)[:, :, None], np.ones((5, 5, 3))).astype(np.float32) * 200) == 0


def test_shadow_and_light_are_those_of_regions_and_not_of_detail() -> None:
    halves = np.full((200, 200, 3), 20, np.float32)
    halves[:60] = 220
    lamps = np.full((200, 200, 3), 20, np.float32)
    lamps[::10, ::10] = 255  # a hundredth of the pixels

    assert shadow_and_light(halves) == pytest.approx((20, 220))
    assert shadow_and_light(lamps)[1] < 30


def test_a_cast_is_the_distance_of_the_colours_of_the_light_in_stops() -> None:
    grey = steps(20)[:, :, None].repeat(3, axis=2)

    assert colour_cast(grey) == pytest.approx(0)
    assert colour_cast(grey * np.float32([1, 0.75, 0.5])) == pytest.approx(1, abs=0.05)
    assert colour_cast(np.zeros((9, 9, 3), np.float32)) == 0


@pytest.mark.parametrize("quality", [5, 25, 50, 80, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(tmp_path: Path, quality: int, mode: str) -> None:
    Image.new(mode, (16, 16)).save(tmp_path / "a.jpg", quality=quality)

    assert jpeg_quality(tmp_path / "a.jpg") == quality


def test_other_files_have_no_quality_of_a_jpeg(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xdb\0\x43")

    assert [jpeg_quality(tmp_path / name) for name in ("a.png", "broken.jpg", "missing.jpg")] == [None] * 3


def test_a_large_photo_is_looked_at_in_windows_on_the_grid_of_jpeg_and_shrunk() -> None:
    photo = np.zeros((3001, 4003, 1), np.uint16)
    photo[:3000:8] = 65535

    views = Views.of(photo)

    assert len(views.windows) == 9
    assert all(window.shape == (WINDOW, WINDOW, 3) and window[0, 0, 0] == 255 for window in views.windows)
    assert views.whole.shape == (192, WHOLE_SIDE, 3)
    assert (views.width, views.height) == (4003, 3001)
    small = Views.of(np.full((7, 600, 3), 0.5, np.float32))
    assert [window.shape for window in small.windows] == [(7, 512, 3)] * 2
    assert small.luma[0].mean() == pytest.approx(127.5)
