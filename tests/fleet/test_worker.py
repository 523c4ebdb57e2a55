"""The worker: a block of photos becomes results in the store and rows of the ledger, with or without an error."""

import hashlib
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from diffir.fleet.run import plan
from diffir.fleet.worker import Worker
from diffir.image_io import read_image, write_image


def restored(work, ext: str = "auto") -> dict[str, dict]:
    """Restore all photos of the input in one block; the rows by the names of the photos."""
    rows = plan(work.inputs.photos(), ext)
    done = Worker(work)(pa.Table.from_pylist(rows)).to_pylist()
    return {row["input"].removeprefix(f"{work.inputs.address()}/"): row for row in done}


def test_results_equal_those_of_restore_file_and_keep_the_folders(make_work, tmp_path: Path) -> None:
    work = make_work()
    rows = restored(work)
    restorer = Worker(work).restorer

    for name in ("a.png", "b.jpg", "deep/a.png", "deep/c.tif", "deep/er/d.webp"):
        expected = restorer.restore_file(Path(work.inputs.root, name), tmp_path / "expected" / name)
        assert Path(work.outputs.root, name).read_bytes() == expected.read_bytes()
        assert rows[name]["output"] == str(Path(work.outputs.root, name))
        assert rows[name]["error"] == ""


def test_a_row_has_the_hash_and_the_size_of_the_result(make_work) -> None:
    work = make_work()
    row = restored(work)["a.png"]
    content = Path(row["output"]).read_bytes()

    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert row["output_bytes"] == len(content)
    assert (row["width"], row["height"]) == (32, 24)
    assert row["seconds"] > 0


def test_a_bad_photo_is_a_row_with_an_error_and_the_others_go_on(make_work) -> None:
    rows = restored(make_work())

    assert "not an image" in rows["deep/broken.png"]["error"]
    assert rows["deep/broken.png"]["output"] == ""
    assert sum(not row["error"] for row in rows.values()) == 5


def test_photos_of_an_object_store_are_named_by_their_address(make_work, photos: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{photos}/", "memory://in/", recursive=True)
    try:
        work = make_work("memory://in", "memory://out")
        rows = restored(work)

        assert rows["deep/broken.png"]["error"].startswith(work.inputs.address("deep/broken.png"))
        assert "/tmp" not in rows["deep/broken.png"]["error"]
        assert memory.cat(rows["a.png"]["output"])[:4] == b"\x89PNG"
        assert sorted(memory.find("/out")) == [
            f"/out/{n}" for n in ("a.png", "b.jpg", "deep/a.png", "deep/c.tif", "deep/er/d.webp")
        ]
    finally:
        memory.rm("/in", recursive=True)
        memory.rm("/out", recursive=True)


def test_a_store_that_refuses_a_result_makes_a_row_with_an_error(make_work, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    rows = restored(make_work(outputs=str(tmp_path / "file/inside")))

    assert all("cannot be written" in row["error"] for name, row in rows.items() if name != "deep/broken.png")


def test_two_photos_that_differ_in_their_suffix_keep_two_results(make_work, tmp_path: Path) -> None:
    folder = tmp_path / "twins"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for name in ("a.png", "a.jpg", "a.bmp"):
        write_image(folder / name, pixels)

    rows = restored(make_work(str(folder)), ext="png")

    assert len({row["output"] for row in rows.values()}) == 3
    assert all(read_image(row["output"]).pixels.shape == (16, 16, 3) for row in rows.values())


@pytest.mark.parametrize("change", [{"load_options": {"device": "cpu", "strength": 0.5}}, {"network": "other"}])
def test_options_that_change_results_are_told_apart(make_work, change) -> None:
    from dataclasses import replace

    work = make_work()

    assert replace(work, **change).options != work.options
