"""Stores: folders on disks and in object stores are listed, read and written by one interface."""

from pathlib import Path

import fsspec
import pytest

from diffir.errors import DiffIRError, UsageError
from diffir.fleet.stores import Store

PHOTOS = ["a.png", "b.jpg", "deep/a.png", "deep/broken.png", "deep/c.tif", "deep/er/d.webp"]


@pytest.fixture(params=["disk", "memory"])
def store(request, photos: Path) -> Store:
    """The photos on a disk, or in fsspec's object store in memory."""
    if request.param == "disk":
        return Store.at(str(photos))
    memory = fsspec.filesystem("memory")
    memory.put(f"{photos}/", "memory://bucket/photos/", recursive=True)
    request.addfinalizer(lambda: memory.rm("/bucket", recursive=True))
    return Store.at("memory://bucket/photos")


def test_photos_of_all_folders_are_listed_and_hidden_ones_are_not(store: Store) -> None:
    found = store.photos()

    assert [photo.below for photo in found] == PHOTOS
    assert all(photo.size > 0 for photo in found)


def test_results_inside_the_input_are_no_photos(store: Store) -> None:
    assert [photo.below for photo in store.photos(without=(store.below("deep"),))] == ["a.png", "b.jpg"]


def test_a_folder_with_a_similar_name_is_not_left_out(store: Store) -> None:
    assert len(store.photos(without=(store.below("dee"),))) == len(PHOTOS)


def test_a_file_comes_and_goes_unchanged(store: Store, tmp_path: Path) -> None:
    fetched = store.fetch("deep/a.png", tmp_path / "here")
    store.put(fetched, "new/folder/copy.png")

    assert store.fetch("new/folder/copy.png", tmp_path / "there").read_bytes() == fetched.read_bytes()
    assert store.below("new/folder").listing(".png") == ["copy.png"]


def test_a_new_file_replaces_an_older_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")

    store.put(tmp_path / "new", "a.png")

    assert store.fetch("a.png", tmp_path / "here").read_bytes() == b"new"


def test_a_file_that_is_missing_is_named(store: Store, tmp_path: Path) -> None:
    if store.is_local:
        pytest.skip("files on a disk are opened where they lie")
    with pytest.raises(DiffIRError, match=r"^memory:///?bucket/photos/no.png: cannot be fetched"):
        store.fetch("no.png", tmp_path)


@pytest.mark.parametrize("address", ["/no/such/folder", "memory://no/such/folder"])
def test_a_folder_that_is_missing_is_named(address: str) -> None:
    with pytest.raises(DiffIRError, match="no/such/folder: cannot be listed"):
        Store.at(address).photos()


def test_an_unknown_protocol_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"^nonsense://bucket: .*use a folder, s3://") as raised:
        Store.at("nonsense://bucket")

    assert "\n" not in str(raised.value)


def test_a_folder_that_was_never_written_lists_nothing() -> None:
    assert Store.at("memory://never").listing(".parquet") == []
