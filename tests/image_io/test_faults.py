"""An error of the program is not called damage: who reads "damaged" may delete a good photo."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from diffir.batch.events import Event
from diffir.batch.jobs import Job
from diffir.data.packed import decode
from diffir.errors import FaultError, ImageError
from diffir.image_io import read_file


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "good.jpg"
    Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(path)
    return path


def test_a_function_that_a_library_lacks_is_a_fault_that_says_what_to_report(photo, monkeypatch):
    monkeypatch.delattr(cv2, "utils")

    with pytest.raises(FaultError) as raised:
        read_file(photo)

    message = str(raised.value)
    assert message.startswith(f"{photo}: a fault in diffir or in a library, not in the file: AttributeError in ")
    assert "image_io/quiet.py:" in message
    assert "please report this line (Python " in message
    assert f"numpy {np.__version__}" in message
    assert "damaged" not in message and "\n" not in message


@pytest.mark.parametrize("changed", [lambda file: None, lambda: None])
def test_a_library_that_takes_other_arguments_is_a_fault(photo, monkeypatch, changed):
    monkeypatch.setattr(Image, "open", changed)

    with pytest.raises(FaultError, match=r"TypeError in image_io/by_pillow\.py:\d+"):
        read_file(photo)


def test_a_fault_in_a_packed_photo_is_one_too(photo, monkeypatch):
    monkeypatch.delattr(Image, "open")

    with pytest.raises(FaultError, match=r"shard/0001\.jpg: a fault in diffir"):
        decode(photo.read_bytes(), "shard/0001.jpg")


def test_what_a_decoder_says_about_the_data_is_damage_whatever_its_type(photo, monkeypatch):
    def refuse(*arguments, **options):
        raise TypeError("Missing dimensions")

    refuse.__code__ = refuse.__code__.replace(co_filename="PIL/TiffImagePlugin.py")
    monkeypatch.setattr(Image, "open", refuse)

    with pytest.raises(ImageError, match=r"good\.jpg: damaged or truncated \(Missing dimensions\)"):
        read_file(photo)


def test_a_fault_while_many_files_are_restored_says_so_in_the_line_of_the_file(tmp_path):
    job = Job(tmp_path / "a.png", tmp_path / "b.png")

    event = Event.failure(job, NameError("name 'cv3' is not defined"))

    assert event.error.startswith(f"{job.source}: a fault in diffir or in a library, not in the file: NameError: ")
    assert "please report this line" in event.error
