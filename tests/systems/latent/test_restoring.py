"""Photos of any size are restored by latent diffusion: reproducibly, in bounded windows, and true to their input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffir.api import restorer_of
from diffir.errors import UsageError
from diffir.inference.samples import draw_samples
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.rows import ROWS
from diffir.systems.latent.settings import LatentSettings
from diffir.systems.latent.windows import WindowPlan

TINY = ROWS["ldm_tiny"].settings
HOLES = replace(TINY, condition=("latent", "mask_pixels"), scale=1, hole_fill="membrane", clean_input=False)


def network(settings: LatentSettings = TINY) -> LatentDiffusion:
    """A network with random weights whose last layers are not zero, so that sampling changes the latent."""
    torch.manual_seed(0)
    built = LatentDiffusion(settings)
    for parameter in built.parameters():
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return built.eval()


def restorer(settings: LatentSettings = TINY, **options):
    return restorer_of(network(settings), system="latent", device="cpu", precision="fp32", **{"steps": 2, **options})


def as_tensor(photo: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(photo).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    rows, columns = np.mgrid[0:37, 0:50]
    waves = np.sin(rows / 5) + np.cos(columns / 3)
    return np.stack([waves, waves.T[:37, :37].mean() + waves, -waves], axis=2).clip(-1, 1).astype(np.float32) / 2 + 0.5


def test_the_result_is_exactly_four_times_as_large(photo):
    assert restorer().restore(photo).shape == (148, 200, 3)


def test_a_seed_gives_the_same_result_every_time_and_another_seed_another(photo):
    first, again, other = (restorer(seed=seed, consistency="off").restore(photo) for seed in (7, 7, 8))

    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_the_result_does_not_depend_on_tiles(photo):
    whole = restorer(window=16).restore(photo)
    tiled = restorer(window=16, tile=20, tile_overlap=8).restore(photo)

    assert np.abs(whole - tiled).max() < 1e-5


def test_windows_leave_no_seams(photo):
    whole, cut = (restorer(window=window, consistency="off").restore(photo) for window in (64, 16))
    steps = np.abs(np.diff(cut - whole, axis=1)).mean(axis=(0, 2))

    # Where windows begin, the difference between cut and whole changes no faster than elsewhere.
    starts = [4 * span.start for span in WindowPlan.of(40, 52, 16, 2).columns[1:]]
    at_borders = max(steps[start - 1] for start in starts)
    assert at_borders < 1.5 * np.median(steps)


def test_a_photo_gets_the_same_noise_alone_and_in_a_batch(photo):
    alone = restorer().restore(photo)
    batch = restorer().restore(np.stack([photo[::-1], photo]))

    assert np.abs(batch[1] - alone).max() < 1e-5


def test_an_enlarged_photo_nearly_equals_its_input_when_shrunk_again(photo):
    def mismatch(consistency: str) -> float:
        restored = restorer(consistency=consistency).restore_tensor(as_tensor(photo))
        shrunk = torch.nn.functional.interpolate(restored, scale_factor=0.25, mode="bicubic", antialias=True)
        return float((shrunk[0].permute(1, 2, 0) - torch.from_numpy(photo)).abs()[4:-4, 4:-4].mean())

    assert mismatch("on") < mismatch("off") / 20


def test_the_colours_of_filled_holes_are_not_taken_from_the_fill():
    with pytest.raises(UsageError, match="filled holes"):
        restorer(HOLES, color_fix="mean")


@pytest.mark.parametrize("fix", ["mean", "wavelet"])
def test_the_colour_of_the_result_is_that_of_the_input(photo, fix):
    def shift(color_fix: str) -> float:
        restored = restorer(consistency="off", color_fix=color_fix).restore_tensor(as_tensor(photo))
        return float((restored - as_tensor(photo).mean(dim=(2, 3), keepdim=True)).mean(dim=(2, 3)).abs().max())

    assert shift(fix) < 0.02 < shift("none")


def test_pixels_outside_the_holes_are_returned_bit_for_bit(photo):
    photo = (255 * photo).astype(np.uint8)
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[10:20, 15:30] = 255

    restored = restorer(HOLES).restore(photo, mask=mask)

    assert np.array_equal(restored[mask == 0], photo[mask == 0])
    filled = restorer(HOLES, seed=1).restore(photo, mask=mask)
    assert not np.array_equal(restored[mask > 0], filled[mask > 0])  # what fills the hole is sampled


@pytest.mark.parametrize("residual", [True, False])
def test_windows_without_holes_are_not_sampled(residual):
    settings = replace(HOLES, diffusion=replace(HOLES.diffusion, residual=residual))
    photo = np.random.default_rng(0).integers(0, 256, (64, 160, 3), dtype=np.uint8)
    mask = np.zeros((64, 160), np.uint8)
    mask[10:20, 4:20] = 255
    network, calls = restorer(settings, window=16), {"sampled": 0, "decoded": 0}

    def count(name):
        def hook(*_):
            calls[name] += 1

        return hook

    network.engine.network.denoiser.register_forward_hook(count("sampled"))
    network.engine.network.autoencoder.decoder.register_forward_hook(count("decoded"))

    restored = network.restore(photo, mask=mask)
    assert calls == {"sampled": 2, "decoded": 1}  # one of three windows, two steps
    assert np.array_equal(restored[mask == 0], photo[mask == 0])
    assert not np.array_equal(restored[mask > 0], photo[mask > 0])
    assert np.array_equal(network.restore(photo, mask=np.zeros_like(mask)), photo)
    assert calls == {"sampled": 2, "decoded": 1}


def test_noise_between_the_steps_changes_the_result(photo):
    still, noisy = (restorer(sampler="ddim", eta=eta, consistency="off").restore(photo) for eta in (0.0, 1.0))

    assert np.abs(still - noisy).max() > 0.01


def test_guidance_moves_the_result_away_from_that_without_condition(photo):
    plain, guided = (restorer(guidance=guidance, consistency="off").restore(photo) for guidance in (1.0, 3.0))

    assert np.abs(plain - guided).max() > 0.001


def test_temperature_0_makes_all_seeds_equal_and_the_row_gives_the_default(photo):
    cold, other = (restorer(temperature=0.0, seed=seed).restore(photo) for seed in (0, 1))
    warm = replace(TINY, diffusion=replace(TINY.diffusion, temperature=0.5))

    assert np.array_equal(cold, other)
    assert restorer().in_use()["temperature"] == 1
    assert np.array_equal(restorer(warm).restore(photo), restorer(temperature=0.5).restore(photo))
    assert not np.array_equal(restorer(warm).restore(photo), restorer().restore(photo))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sampler": "dpm", "eta": 0.5}, "deterministic"),
        ({"steps": 0}, "steps must"),
        ({"eta": 2.0}, "eta must"),
        ({"temperature": 2.5}, "temperature must"),
        ({"steps": 1001}, "steps must"),
        ({"stepz": 3}, "did you mean 'steps'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, reason):
    with pytest.raises(Exception, match=reason) as caught:
        restorer(**options)
    assert "\n" not in str(caught.value)


def test_results_are_made_consistent_only_where_the_input_is_clean(photo):
    dirty = replace(TINY, clean_input=False)

    assert restorer().in_use()["consistency"] and not restorer(dirty).in_use()["consistency"]


def test_the_photo_is_sampled_once_for_each_precision_although_tiles_are_many(photo):
    built = restorer(window=16, tile=20, tile_overlap=8)
    calls = []
    predict = built.engine.network.predict
    built.engine.network.predict = lambda *given: calls.append(1) or predict(*given)

    built.restore(photo)

    assert len(calls) == 2 * WindowPlan.of(38, 50, 16, 2).count


def test_a_photo_is_read_by_a_context_encoder(photo):
    settings = replace(
        TINY, condition=(), context="image", denoiser=replace(TINY.denoiser, context_channels=8), clean_input=False
    )
    results = [restorer(settings).restore(image) for image in (photo, 1 - photo)]

    assert np.abs((results[0] - photo.mean()) - (results[1] - (1 - photo).mean())).max() > 0.01


def test_consistency_is_refused_where_nothing_is_enlarged():
    with pytest.raises(UsageError, match="networks that enlarge"):
        restorer(HOLES, consistency="on")


def test_a_network_that_needs_label_maps_cannot_restore_a_photo():
    settings = replace(TINY, condition=("labels",), labels=3, scale=1, clean_input=False)

    with pytest.raises(UsageError, match="label maps"):
        restorer(settings)


def test_samples_have_consecutive_seeds_and_show_where_they_differ(photo):
    base = restorer(seed=3, consistency="off")

    samples = draw_samples(base, photo, count=3)

    assert np.array_equal(samples.images[2], restorer(seed=5, consistency="off").restore(photo))
    assert np.allclose(samples.mean, np.mean(samples.images, axis=0), atol=1e-6)
    assert np.allclose(samples.deviation, np.std(samples.images, axis=0).mean(axis=-1), atol=1e-6)
    assert samples.deviation.shape == (148, 200) and samples.deviation_image.dtype == np.uint8
    with pytest.raises(UsageError, match="samples must be 1 or more"):
        draw_samples(base, photo, count=0)


def test_multiply_adds_grow_by_one_denoiser_a_step():
    one, two, three = (restorer(steps=steps).engine.multiply_adds(64) for steps in (1, 2, 3))

    assert one < two
    assert three - two == two - one
