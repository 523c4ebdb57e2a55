"""Rain, snow, haze, low light and backlight follow the laws of light and have the given strength."""

import math

import cv2
import numpy as np
import pytest
import torch

from diffir.degradations.backlight import Backlight
from diffir.degradations.draw import Draw
from diffir.degradations.haze import Haze
from diffir.degradations.low_light import LowLight
from diffir.degradations.rain import Rain
from diffir.degradations.shapes.clouds import cloud
from diffir.degradations.shapes.particles import scatter, streak
from diffir.degradations.shapes.srgb import to_linear, to_srgb
from diffir.degradations.snow import Snow
from diffir.errors import ConfigError

SIZE = (64, 80)


def drawn(seed=0):
    return Draw(torch.Generator().manual_seed(seed), SIZE)


def grey(value):
    return torch.full((1, 3, *SIZE), value)


@pytest.mark.parametrize("blend", ["add", "screen"])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.2])
def test_rain_without_a_veil_only_adds_light(blend, value):
    rained = Rain(density=(50, 50), blend=(blend,))(grey(value), drawn())

    assert (rained >= value).all()
    assert value > 1 or rained.max() > value + 0.1


def test_screened_rain_never_leaves_white():
    assert Rain(density=(300, 300), intensity=(1, 1), blend=("screen",))(grey(0.7), drawn()).max() <= 1


def test_a_full_veil_of_rain_is_the_airlight_alone():
    veiled = Rain(veil=(1, 1), airlight=(0.6, 0.6))(grey(0.1), drawn())

    assert torch.allclose(veiled, grey(0.6))


@pytest.mark.parametrize("density", [5, 50])
def test_density_counts_copies_on_a_square_of_100_pixels(density):
    dot = np.zeros((3, 3), dtype=np.float32)
    dot[1, 1] = 1

    light = scatter((500, 500), dot, density, np.random.default_rng(0), faintest=1)

    assert light.sum() / 25 == pytest.approx(density, rel=0.15)


def test_more_rain_is_brighter_rain():
    amounts = [Rain(density=(d, d), layers=(2, 2)).streaks((200, 200), drawn()).mean().item() for d in (5, 20, 80)]

    assert amounts[0] < amounts[1] / 2 < amounts[2] / 4


@pytest.mark.parametrize(("angle", "up", "right"), [(0, 14, 0), (45, 10, 10), (-45, 10, -10), (90, 0, 14)])
def test_a_streak_has_the_given_angle_and_length(angle, up, right):
    shape = streak(length=41, width=2, angle=angle)
    middle = shape.shape[0] // 2

    assert shape[middle, middle] == shape.max() == 1
    assert shape[middle - up, middle + right] > 0.4
    assert shape[middle - round(1.5 * up), middle + round(1.5 * right)] == 0
    assert shape[middle - right, middle - up] < 0.01


@pytest.mark.parametrize(("head", "brightest"), [(-1, 18), (-0.5, 10), (0, 0), (0.5, -10), (1, -18)])
def test_a_streak_is_brightest_where_its_head_is(head, brightest):
    shape = streak(length=41, width=2, angle=0, head=head)

    row, column = np.unravel_index(shape.argmax(), shape.shape)
    assert abs(row - shape.shape[0] // 2 - brightest) <= 2
    assert column == shape.shape[1] // 2
    assert 0.9 < shape.max() <= 1


@pytest.mark.parametrize("length", [1, 2, 3, 60])
def test_a_streak_with_its_head_below_is_one_upside_down_and_never_fades(length):
    up, down = (streak(length=length, width=1.5, angle=0, head=head) for head in (0.9, -0.9))

    assert np.array_equal(up, down[::-1])
    assert up.max() > 0.5


@pytest.mark.parametrize(("variety", "shortest", "longest"), [(0, 36, 42), (0.8, 12, 68)])
def test_variety_is_how_far_streaks_differ_in_length(variety, shortest, longest):
    sky = {"density": (0.4, 0.4), "length": (40, 40), "angle": (0, 0), "spread": 0, "layers": (1, 1), "shapes": 40}
    light = Rain(**sky, variety=variety, faintest=1).streaks((800, 800), drawn())

    boxes = cv2.connectedComponentsWithStats((light[0, 0] > 0.03).numpy().astype(np.uint8))[2][1:]
    inside = (boxes[:, 1] > 0) & (boxes[:, 1] + boxes[:, 3] < 800) & (boxes[:, 2] < 8)
    lengths = np.quantile(boxes[inside, 3], [0.05, 0.95])
    assert lengths == pytest.approx([shortest, longest], abs=6)


@pytest.mark.parametrize("layers", range(1, 6))
def test_every_number_of_layers_shows_rain_and_snow(layers):
    settings = {"density": (100, 100), "layers": (layers, layers)}

    assert (Rain(**settings, intensity=(1, 1)).streaks(SIZE, drawn()) > 0.2).any()
    assert (Snow(**settings, opacity=(1, 1)).flakes(SIZE, drawn()) > 0.2).any()


def test_flakes_cover_between_nothing_and_everything():
    cover = Snow(density=(300, 300), flake_size=(2, 20), opacity=(1, 1)).flakes(SIZE, drawn())

    assert 0 <= cover.min() < 0.5 < cover.max() <= 1


def test_snow_lies_between_the_photo_and_white():
    snowed = Snow(white=(0.9, 0.9))(grey(0.2), drawn())

    assert snowed.min() >= 0.2 - 1e-6
    assert 0.3 < snowed.max() <= 0.9 + 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_transmission_is_above_0_and_at_most_1(seed):
    t = Haze(beta=(1.8, 1.8)).transmission(SIZE, drawn(seed))

    assert math.exp(-1.8) - 1e-6 <= t.min() < t.max() <= 1


def test_haze_is_thicker_at_the_top_where_nothing_is_cloudy():
    t = Haze(beta=(1, 1), patchiness=(0, 0)).transmission(SIZE, drawn())

    assert (t[..., 1:, :] >= t[..., :-1, :]).all()
    assert t[..., -1, :].mean() > 0.8 > 0.5 > t[..., 0, :].mean()


def test_haze_of_the_colour_of_the_photo_is_not_seen():
    hazy = Haze(airlight=(0.8, 0.8), tint=0)(grey(0.8), drawn())

    assert torch.allclose(hazy, grey(0.8), atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_air_is_brighter_on_the_side_of_the_sun_by_the_given_share(seed):
    even = Haze(airlight=(0.5, 0.5), tint=0)(grey(0.0), drawn(seed))
    sloping = Haze(airlight=(0.5, 0.5), tint=0, slope=(0.4, 0.4))(grey(0.0), drawn(seed))
    hazy = even > 0.02
    ratio = sloping[hazy] / even[hazy]

    assert 0.7 < ratio.min() < 0.9 and 1.1 < ratio.max() < 1.3


@pytest.mark.parametrize("stops", [1, 3, 6])
def test_each_stop_halves_the_light(stops):
    dark = LowLight(stops=(stops, stops), electrons=(1e6, 1e6), read=(0, 0), cast=0)(grey(0.8), drawn())

    assert to_linear(dark).mean() / to_linear(grey(0.8)).mean() == pytest.approx(0.5**stops, rel=0.01)


def test_light_that_is_regained_brings_the_noise_with_it():
    settings = {"stops": (5, 5), "electrons": (5000, 5000), "cast": 0}
    dark, bright = (LowLight(**settings, regained=(share, share))(grey(0.5), drawn()) for share in (0, 1))

    assert bright.mean() == pytest.approx(0.5, abs=0.02)
    assert bright.std() > 3 * dark.std()


def test_shot_noise_is_the_root_of_the_count():
    step = LowLight(stops=(0, 0), electrons=(1000, 1000), read=(0, 0), cast=0)
    noisy = to_linear(step(to_srgb(grey(0.4)), drawn()))

    assert noisy.std() * 1000 == pytest.approx(math.sqrt(400), rel=0.03)


def test_light_to_srgb_and_back_is_the_same_light():
    light = torch.linspace(0, 1, 1001, dtype=torch.float64)

    assert torch.allclose(to_linear(to_srgb(light)), light, atol=1e-6)
    assert to_srgb(torch.tensor(0.5)).item() == pytest.approx(0.7354, abs=1e-4)


def test_clouds_reach_from_0_to_1_without_jumps():
    field = cloud((64, 64), np.random.default_rng(0), cells=2, octaves=3)

    assert (field.min(), field.max()) == (0, 1)
    assert np.abs(np.diff(field, axis=1)).max() < 0.15


@pytest.mark.parametrize(
    ("cls", "settings", "named"),
    [
        (Rain, {"density": (5, 1)}, "density"),
        (Rain, {"blend": ()}, "blend"),
        (Rain, {"layers": (0, 2)}, "layers"),
        (Snow, {"opacity": (0, 1.5)}, "opacity"),
        (Haze, {"beta": (-1, 1)}, "beta"),
        (LowLight, {"regained": (0, 2)}, "regained"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(cls, settings, named):
    with pytest.raises(ConfigError, match=f"^{named} must"):
        cls(**settings)


def test_backlight_darkens_the_dark_side_by_its_stops_and_leaves_the_bright_side():
    photo = torch.full((1, 3, 40, 60), 0.2)
    photo[..., 30:] = 0.9

    lit = Backlight(stops=(2, 2), reach=(0.02, 0.02), hardness=(4, 4))(photo, drawn())

    torch.testing.assert_close(to_linear(lit[..., :20]), to_linear(photo[..., :20]) / 4)
    torch.testing.assert_close(lit[..., 40:], photo[..., 40:])


def test_backlight_follows_the_surroundings_and_not_the_pixel():
    photo = torch.full((1, 3, 40, 60), 0.2)
    photo[..., 30:] = 0.9
    photo[..., 20, 50] = 0.2

    lit = Backlight(stops=(2, 2), reach=(0.05, 0.05), hardness=(4, 4))(photo, drawn())

    torch.testing.assert_close(lit[..., 20, 50], photo[..., 20, 50])
