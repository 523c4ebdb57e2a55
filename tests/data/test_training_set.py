"""Training samples, with degradation and masks, depend only on the seed and on their number."""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from diffir.config import TrainSetConfig
from diffir.data.batch_plan import BatchPlan, PatchRequest, PatchSize
from diffir.data.batches import load_batches
from diffir.data.samples import Turn
from diffir.data.training_set import open_training_set, training_facts
from diffir.degradations import assembly
from diffir.degradations.draw import Draw
from diffir.errors import ConfigError, ImageError, PairingError
from diffir.system import Pair

NOISE = ({"type": "gaussian_noise", "sigma": [0, 55]},)


@dataclass(frozen=True)
class ForeignNoise:
    """A degradation step of another package, which draws from the global generators of the process."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        grain = torch.from_numpy(np.random.standard_normal(image.shape)).float()
        return image + random.random() * grain + torch.rand(image.shape)


@pytest.fixture
def greys(photos) -> Path:
    """Photos of one grey level each, by which they are recognised."""
    return photos("greys", {f"{k}.png": np.full((40, 50, 3), 50 * k, np.uint8) for k in range(5)})


@pytest.fixture
def clean(photos, noise) -> Path:
    """Photos with four equal pixels for each pixel of ``halved``."""
    return photos("clean", {f"{k}.png": noise(k, 20, 25).repeat(2, 0).repeat(2, 1) for k in range(3)})


@pytest.fixture
def halved(photos, noise) -> Path:
    return photos("halved", {f"{k}.png": noise(k, 20, 25) for k in range(3)})


@pytest.fixture
def holes(photos, noise) -> Path:
    """A folder of random masks."""
    return photos("holes", {f"{k}.png": noise(90 + k, 16, 16) for k in range(4)})


def samples(seed=(0, 1), count: int = 6, size: int = 16, **options) -> list[Pair]:
    dataset = open_training_set(
        TrainSetConfig(**{k: str(v) if isinstance(v, Path) else v for k, v in options.items()}), seed=seed
    )
    return [dataset[PatchRequest(index, size)] for index in range(count)]


def test_the_target_of_a_sample_is_what_the_recipe_marks_as_ground_truth(greys):
    darker = ({"type": "fading", "density": [0.5, 0.5]}, {"type": "ground_truth"}, {"type": "quantize"})
    marked, plain = samples(dataroot_gt=greys, degradation=darker), samples(dataroot_gt=greys, degradation=NOISE)

    assert all(torch.equal(pair.lq, (pair.gt * 255).round() / 255) for pair in marked)
    assert not any(torch.equal(one.gt, other.gt) for one, other in zip(marked, plain, strict=True))


def equal(left: list[Pair], right: list[Pair]) -> bool:
    return all(torch.equal(a.lq, b.lq) and torch.equal(a.gt, b.gt) for a, b in zip(left, right, strict=True))


def test_a_patch_is_float_rgb_in_unit_range(clean: Path) -> None:
    patch = samples(dataroot_gt=clean, degradation=NOISE)[0].gt

    assert patch.shape == (3, 16, 16)
    assert patch.dtype == torch.float32
    assert 0 <= patch.min() <= patch.max() <= 1


def test_every_photo_is_used_once_before_any_is_used_again(greys: Path) -> None:
    seen = [round(s.gt.mean().item() * 255) for s in samples(dataroot_gt=greys, degradation=NOISE, count=10)]

    assert Counter(seen[:5]) == Counter(seen[5:]) == Counter([0, 50, 100, 150, 200])
    assert seen[:5] != seen[5:]


def test_a_share_of_the_clean_photos_is_made_grey(clean: Path) -> None:
    def grey(share: float) -> list[bool]:
        made = samples(dataroot_gt=clean, degradation=NOISE, gray_prob=share, count=12)
        return [bool((sample.gt == sample.gt[:1]).all()) for sample in made]

    assert not any(grey(0.0))
    assert all(grey(1.0))
    assert 0 < sum(grey(0.5)) < 12
    with pytest.raises(ConfigError, match="gray_prob is for photos that are degraded here"):
        TrainSetConfig(str(clean), dataroot_lq=str(clean), gray_prob=0.5)


@pytest.mark.parametrize(
    ("index", "photo", "top", "left", "turn"),
    [(0, 2, 16, 29, Turn(True, True)), (1, 0, 6, 6, Turn(True, True, True)), (2, 1, 19, 28, Turn(True, False, True))],
)
def test_samples_equal_those_of_earlier_versions(clean: Path, index, photo, top, left, turn) -> None:
    """The first three patches are recorded, so that resumed runs go on with the same patches."""
    patch = samples(dataroot_gt=clean, degradation=NOISE, count=3)[index].gt

    image = cv2.imread(str(clean / f"{photo}.png"))[..., ::-1]
    expected = turn(image[top : top + 16, left : left + 16]).transpose(2, 0, 1)
    assert np.array_equal((patch * 255).round().numpy(), expected)


def test_another_seed_gives_other_samples(clean: Path) -> None:
    first, other = (samples(seed=seed, dataroot_gt=clean, degradation=NOISE)[0] for seed in ((0, 1), (0, 2)))

    assert not torch.equal(first.gt, other.gt)
    assert not torch.equal(first.lq - first.gt, other.lq - other.gt)


@pytest.mark.parametrize("options", [{}, {"cache_images": True}])
def test_a_sample_does_not_depend_on_what_was_read_before(clean: Path, options: dict) -> None:
    dataset = open_training_set(TrainSetConfig(str(clean), degradation=NOISE, **options), seed=(0, 1))

    backwards = [dataset[PatchRequest(index, 16)] for index in reversed(range(6))]

    assert equal(samples(dataroot_gt=clean, degradation=NOISE), backwards[::-1])


@pytest.mark.parametrize("kind", ["degraded", "paired", "masked"])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_samples_that_one_process_makes(
    clean: Path, halved: Path, holes: Path, kind: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(assembly._CLASSES, "foreign", ForeignNoise)
    options = {
        "degraded": {"degradation": ({"type": "foreign"}, *NOISE)},
        "paired": {"dataroot_lq": str(halved)},
        "masked": {"dataroot_mask": str(holes)},
    }[kind]
    dataset = open_training_set(TrainSetConfig(str(clean), **options), seed=(3, 2))
    plan = BatchPlan([PatchSize(3, 16, 2)])

    loaded = list(load_batches(dataset, plan, workers=workers, pin_memory=False))

    alone = samples(seed=(3, 2), dataroot_gt=clean, **options)
    assert equal([Pair(lq, gt) for batch in loaded for lq, gt in zip(*batch, strict=True)], alone)


def test_foreign_steps_do_not_change_the_generators_of_the_process(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(assembly._CLASSES, "foreign", ForeignNoise)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)

    samples(dataroot_gt=clean, degradation=({"type": "foreign"},))

    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"type": "matlab_bicubic", "scale": 2}, "made 8 x 8 pixels with 3 channels of 16 x 16 pixels with 3 channels"),
        ({"type": "boxes"}, "made 16 x 16 pixels with 4 channels"),
    ],
)
def test_a_recipe_that_rarely_makes_another_size_is_one_line_and_no_broken_batch(clean: Path, step, said) -> None:
    rare = ({"type": "clip"}, {**step, "prob": 0.03})  # escapes the trials that facts come from

    with pytest.raises(
        ConfigError, match=rf"^sample \d+: the degradation {said}.*otherwise makes 16 x 16.*resize_back"
    ):
        samples(dataroot_gt=clean, degradation=rare, count=200)


@pytest.mark.parametrize("size", [16, 64])
def test_partners_are_cut_and_turned_like_the_clean_patch(clean: Path, halved: Path, size: int) -> None:
    pairs = samples(dataroot_gt=clean, dataroot_lq=halved, count=20, size=size)

    for lq, gt in pairs:
        assert lq.shape == (3, size // 2, size // 2)
        assert torch.equal(lq, gt[:, ::2, ::2])
    assert len({tuple(pair.lq.flatten().tolist()) for pair in pairs}) > 10


@pytest.mark.parametrize("kind", ["degraded", "paired"])
def test_where_a_photo_is_cut_changes_with_the_seed(photos, noise, kind: str) -> None:
    one = photos("one", {"a.png": noise(1)})
    options = {"degraded": {"degradation": ({"type": "clip"},)}, "paired": {"dataroot_lq": one}}[kind]

    cuts = {tuple(samples((seed, 1), 1, dataroot_gt=one, **options)[0].gt.flatten().tolist()) for seed in range(4)}

    assert len(cuts) == 4


def test_partners_of_the_same_size_make_pairs_of_scale_1(clean: Path) -> None:
    assert all(torch.equal(lq, gt) for lq, gt in samples(dataroot_gt=clean, dataroot_lq=clean))


def test_a_rest_of_a_clean_photo_is_cut_off(photos, noise) -> None:
    gt, lq = photos("gt", {"a.png": noise(1, 43, 52)}), photos("lq", {"a.png": noise(1, 43, 52)[::4, ::4][:10, :13]})

    assert samples(dataroot_gt=gt, dataroot_lq=lq)[0].lq.shape == (3, 4, 4)


@pytest.mark.parametrize(("height", "width"), [(40, 26), (20, 30), (41, 50), (80, 100)])
def test_a_partner_of_a_size_that_does_not_fit_is_refused(photos, noise, height: int, width: int) -> None:
    gt, lq = photos("gt", {"a.png": noise(1)}), photos("lq", {"a.png": noise(1, height, width)})

    with pytest.raises(PairingError, match=rf"a\.png is 50 x 40 .* {width} x {height}.*check-data"):
        samples(dataroot_gt=gt, dataroot_lq=lq)


def test_a_pair_of_another_scale_than_the_first_is_refused(photos, noise) -> None:
    gt = photos("gt", {"a.png": noise(1), "b.png": noise(2)})
    lq = photos("lq", {"a.png": noise(1, 20, 25), "b.png": noise(2)})

    with pytest.raises(PairingError, match=r"b\.png is a pair of scale 1, a\.png of 2"):
        samples(dataroot_gt=gt, dataroot_lq=lq)


def test_a_patch_that_is_no_multiple_of_the_scale_is_refused(clean: Path, halved: Path) -> None:
    with pytest.raises(ConfigError, match="gt_size 15 is not a multiple of 2"):
        samples(dataroot_gt=clean, dataroot_lq=halved, size=15)


@pytest.mark.parametrize("white", ["missing", "keep"])
def test_a_mask_is_1_where_pixels_are_missing_and_those_are_0(clean: Path, photos, white: str) -> None:
    half = np.zeros((30, 30, 3), np.uint8)
    half[:15] = 255
    masks = photos("masks", {"half.png": half})

    pairs = samples(dataroot_gt=clean, dataroot_mask=masks, mask_is_white=white, use_hflip=False, use_rot=False)

    for lq, gt in pairs:
        missing = lq[3]
        assert set(missing.unique().tolist()) == {0, 1}
        assert missing[0].mean() == (white == "missing")
        assert torch.equal(lq[:3], gt * (1 - missing))


def test_masks_change_from_sample_to_sample(clean: Path, holes: Path) -> None:
    drawn = {tuple(lq[3].flatten().tolist()) for lq, _ in samples(dataroot_gt=clean, dataroot_mask=holes, count=12)}

    assert len(drawn) > 4


@pytest.mark.parametrize(("white", "level"), [("missing", 255), ("keep", 0)])
def test_a_mask_that_leaves_nothing_to_restore_from_is_refused_by_name(clean: Path, photos, white, level) -> None:
    masks = photos("masks", {"all.png": np.full((30, 30), level, np.uint8)})

    with pytest.raises(ImageError, match=rf"^all\.png of dataroot_mask .*masks covers .*mask_is_white is {white}: "):
        samples(dataroot_gt=clean, dataroot_mask=masks, mask_is_white=white)


def test_a_mask_that_comes_to_cover_everything_at_the_patch_s_size_covers_nothing(clean: Path, photos) -> None:
    nearly = np.full((160, 160), 255, np.uint8)
    nearly[1, 1] = 0

    (pair,) = samples(dataroot_gt=clean, dataroot_mask=photos("masks", {"nearly.png": nearly}), count=1)

    assert not pair.lq[3].any()
    assert torch.equal(pair.lq[:3], pair.gt)


def test_masks_go_on_degraded_photos_too(clean: Path, holes: Path) -> None:
    plain = samples(dataroot_gt=clean, degradation=NOISE)

    masked = samples(dataroot_gt=clean, degradation=NOISE, dataroot_mask=holes)

    for (lq, _), (kept, _) in zip(masked, plain, strict=True):
        assert torch.equal(lq[:3], kept * (1 - lq[3]))


def test_a_photo_smaller_than_the_patch_is_mirrored_to_size(greys: Path) -> None:
    assert samples(dataroot_gt=greys, degradation=NOISE, size=64)[0].gt.shape == (3, 64, 64)


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"degradation": NOISE}, (1, 3)),
        ({"degradation": ({"type": "matlab_bicubic", "scale": 4},)}, (4, 3)),
        ({"dataroot_lq": "halved"}, (2, 3)),
        ({"dataroot_mask": "clean"}, (1, 4)),
    ],
)
def test_facts_state_scale_and_channels_of_a_set(clean: Path, halved: Path, options: dict, facts: tuple) -> None:
    paths = {k: str(clean.parent / v) if k.startswith("dataroot") else v for k, v in options.items()}

    assert training_facts(TrainSetConfig(str(clean), **paths)) == facts


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "degradation is empty"),
        ({"dataroot_lq": "x", "degradation": NOISE}, "dataroot_lq and degradation exclude each other"),
        ({"dataroot_lq": "x", "dataroot_mask": "y"}, "dataroot_lq and dataroot_mask exclude each other"),
        ({"dataroot_lq": "x", "filename_tmpl": "x4"}, "filename_tmpl needs one {}"),
    ],
)
def test_a_section_with_two_sources_of_damage_or_none_is_refused(options: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainSetConfig("photos", **options)
