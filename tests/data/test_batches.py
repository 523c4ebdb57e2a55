"""Batches from worker processes or from this process, and the errors of batches that cannot be made."""

import pickle
from pathlib import Path

import pytest
import torch

from diffir.config import TrainSetConfig
from diffir.data.batch_plan import BatchPlan, PatchSize
from diffir.data.batches import load_batches
from diffir.data.training_set import open_training_set
from diffir.errors import DiffIRError, ImageError, MissingDependency

NOISE = ({"type": "gaussian_noise", "sigma": [25, 25]},)


def batches(photos: Path, workers: int):
    samples = open_training_set(TrainSetConfig(str(photos), degradation=NOISE), seed=(0, 1))
    return load_batches(samples, BatchPlan([PatchSize(3, 16, 2)]), workers=workers, pin_memory=False)


@pytest.fixture
def clean(photos, noise) -> Path:
    return photos("clean", {f"{k}.png": noise(k) for k in range(3)})


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_photo_is_the_same_one_line_in_workers_as_without(clean: Path, workers: int) -> None:
    path = clean / "1.png"
    path.write_bytes(path.read_bytes()[:60])

    with pytest.raises(ImageError, match=r"1\.png") as caught:
        list(batches(clean, workers))

    assert "\n" not in str(caught.value)


def test_batches_before_a_corrupt_photo_are_loaded(clean: Path) -> None:
    whole = list(batches(clean, 0))
    (clean / "1.png").write_bytes(b"")

    arriving = batches(clean, 1)
    read = []
    with pytest.raises(ImageError):
        read.extend(arriving)

    assert len(read) == 1
    assert torch.equal(read[0].gt, whole[0].gt)


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_does_not_change_the_generators_of_the_process(clean: Path, workers: int) -> None:
    before = torch.get_rng_state()

    list(batches(clean, workers))

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("error", [*DiffIRError.__subclasses__(), DiffIRError], ids=lambda error: error.__name__)
def test_every_error_arrives_whole_from_another_process(error: type[DiffIRError]) -> None:
    given = error("lmdb", "an LMDB", "lmdb") if error is MissingDependency else error("one line")

    arrived = pickle.loads(pickle.dumps(given))

    assert (type(arrived), str(arrived)) == (error, str(given))
