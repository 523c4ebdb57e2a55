"""Compression equals the result of the encoders themselves."""

import cv2
import numpy as np
import pytest
import torch

from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError, ImageError


def photo(height=40, width=50):
    """Smooth enough to compress as photos do, on 8-bit levels."""
    pixels = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8), (5, 5), 2)
    return pixels, torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def compressed(images, seed=0, **step):
    return build_recipe([step])(images, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sampling", ["444", "422", "420", 420])
@pytest.mark.parametrize("quality", [10, 75])
def test_jpeg_equals_opencvs_file(quality, sampling):
    pixels, image = photo()
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")

    result = compressed(image, type="jpeg", quality=[quality, quality], subsampling=[sampling])

    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    expected = cv2.imdecode(cv2.imencode(".jpg", pixels[..., ::-1], settings)[1], cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal((result[0] * 255).round().byte().permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_lower_quality_is_further_from_the_photo(kind):
    _, image = photo()

    errors = [(compressed(image, type=kind, quality=[q, q]) - image).abs().mean() for q in (95, 50, 10)]

    assert 0 < errors[0] < errors[1] < errors[2]


def test_quality_is_drawn_for_each_image():
    _, image = photo()

    results = compressed(image.expand(8, -1, -1, -1), type="jpeg", quality=[5, 95])

    assert len({result.numpy().tobytes() for result in results}) > 4


def test_clip_and_quantize_limit_and_round_the_values():
    image = torch.tensor([-0.2, 0.1, 0.5011, 1.3]).view(1, 1, 1, 4)

    assert compressed(image, type="clip").flatten().tolist() == pytest.approx([0, 0.1, 0.5011, 1])
    assert (compressed(image, type="quantize").flatten() * 255).tolist() == pytest.approx([0, 26, 128, 255])


def test_a_photo_beyond_the_format_is_an_error_of_one_line():
    with pytest.raises(ImageError, match=r"\.webp cannot hold 17000 x 2 pixels"):
        compressed(torch.zeros(1, 3, 2, 17000), type="webp", quality=[50, 50])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "jpeg", "quality": [0, 50]}, "quality must be .* 1 <= low <= high <= 100"),
        ({"type": "jpeg", "quality": [50, 101]}, "quality must be"),
        ({"type": "jpeg", "quality": [50.5, 60]}, "expected int"),
        ({"type": "jpeg", "quality": [50, 60], "subsampling": ["411"]}, "'411' is not one of 444, 422, 420"),
        ({"type": "jpeg", "quality": [50, 60], "subsampling": []}, "subsampling must name at least one"),
        ({"type": "webp", "quality": [60, 50]}, "quality must be"),
    ],
)
def test_an_impossible_compression_is_an_error_of_one_line(step, message):
    with pytest.raises(ConfigError, match=message):
        build_recipe([step])
