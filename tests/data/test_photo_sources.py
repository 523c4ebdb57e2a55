"""Folders, lists, LMDBs and shards are read alike, and missing photos are reported in one line."""

import io
import pickle
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.data.photo_names import partners
from diffir.data.photo_sources import open_photos, rgb8
from diffir.errors import ConfigError, ImageError, MissingDependency, PairingError


@pytest.fixture
def folder(photos, noise) -> Path:
    return photos("clean", {"a.png": noise(1), "b.webp": noise(2), "sub/c.jpg": noise(3)})


def shard(folder: Path, names: list[str], target: Path) -> Path:
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            archive.add(folder / name, arcname=name)
    return target


def lmdb_of(folder: Path, names: list[str], target: Path) -> Path:
    """Write an LMDB in the layout of BasicSR: keys without suffix, a list with sizes."""
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(target), map_size=2**24) as database, database.begin(write=True) as transaction:
        for name in names:
            transaction.put(name.rpartition(".")[0].encode(), (folder / name).read_bytes())
    (target / "meta_info.txt").write_text("".join(f"{name} (40,50,3) 1\n" for name in names), "utf-8")
    return target


@pytest.mark.parametrize("pack", [shard, lmdb_of])
def test_packed_photos_equal_those_of_the_folder(folder: Path, tmp_path: Path, pack: Callable[..., Path]) -> None:
    names = ["a.png", "b.webp", "sub/c.jpg"]
    suffix = ".tar" if pack is shard else ".lmdb"

    packed = open_photos(str(pack(folder, names, tmp_path / f"packed{suffix}")), "dataroot_gt")

    plain = open_photos(str(folder), "dataroot_gt", recursive=True)
    assert list(packed.names) == list(plain.names) == names
    for name in names:
        assert np.array_equal(rgb8(packed.read(name)), rgb8(plain.read(name)))


@pytest.mark.parametrize("pack", [shard, lmdb_of])
def test_a_packed_source_that_was_read_works_in_other_processes(folder: Path, tmp_path: Path, pack) -> None:
    source = open_photos(str(pack(folder, ["a.png"], tmp_path / f"p{'.tar' if pack is shard else '.lmdb'}")), "x")
    here = rgb8(source.read("a.png"))

    class Reading(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> np.ndarray:
            return rgb8(source.read("a.png"))

    for there in torch.utils.data.DataLoader(Reading(), batch_size=None, num_workers=2):
        assert np.array_equal(there, here)
    for again in (pickle.loads(pickle.dumps(source)), source):
        assert np.array_equal(rgb8(again.read("a.png")), here)


def test_a_folder_of_shards_is_one_source(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    shard(folder, ["a.png"], tmp_path / "shards/0.tar")
    shard(folder, ["sub/c.jpg"], tmp_path / "shards/1.tar")

    assert list(open_photos(str(tmp_path / "shards"), "dataroot_gt").names) == ["a.png", "sub/c.jpg"]


@pytest.mark.parametrize("kept", [600, 2000, 7500])
def test_a_shard_that_is_cut_short_is_refused(folder: Path, tmp_path: Path, kept: int) -> None:
    path = shard(folder, ["a.png", "a.png"], tmp_path / "p.tar")
    assert (folder / "a.png").stat().st_size > 6000  # so that the cuts go through the first photo and the second
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(ConfigError, match=r"p\.tar is not a whole, plain tar file"):
        open_photos(str(path), "dataroot_gt")


def test_damage_inside_a_shard_names_shard_and_photo(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "p.tar", "w") as archive:
        member = tarfile.TarInfo("bad.png")
        member.size = 20
        archive.addfile(member, io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(12)))

    with pytest.raises(ImageError, match=r"p\.tar: bad\.png: "):
        open_photos(str(tmp_path / "p.tar"), "dataroot_gt").read("bad.png")


def with_size(content: bytes, size: bytes) -> bytes:
    """Return a tar file whose first header states another size, with the header's checksum made right."""
    header = bytearray(content[:512])
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content[512:]


@pytest.mark.parametrize(
    "size",
    [b"\x80\0\0\0\x7f" + b"\xff" * 7, b"\xff" * 12, b"00000077777\0", b"77777777777\0"],
    ids=["2**63", "negative", "beyond the end", "8 GB"],
)
def test_a_tar_header_whose_size_lies_is_one_line(folder: Path, tmp_path: Path, size: bytes) -> None:
    whole = shard(folder, ["a.png"], tmp_path / "p.tar").read_bytes()
    (tmp_path / "p.tar").write_bytes(with_size(whole, size))

    with pytest.raises(ConfigError, match=r"p\.tar is not a whole, plain tar file") as caught:
        open_photos(str(tmp_path / "p.tar"), "dataroot_gt")
    assert "\n" not in str(caught.value)


def test_an_entry_that_reaches_beyond_the_end_is_named(folder: Path, tmp_path: Path) -> None:
    whole = shard(folder, ["a.png"], tmp_path / "p.tar").read_bytes()
    (tmp_path / "p.tar").write_bytes(with_size(whole, b"%011o\0" % (len(whole) - 511)))

    with pytest.raises(ConfigError, match=r"p\.tar .*its entry 'a\.png' is of"):
        open_photos(str(tmp_path / "p.tar"), "dataroot_gt")


def test_a_long_name_of_forged_size_asks_for_no_memory(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "p.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("n" * 200 + ".png"))
    content = (tmp_path / "p.tar").read_bytes()
    (tmp_path / "p.tar").write_bytes(with_size(content, b"77777777777\0"))  # 8 GB of name
    tracemalloc.start()

    with pytest.raises(ConfigError, match="is not a whole, plain tar file"):
        open_photos(str(tmp_path / "p.tar"), "dataroot_gt")

    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (b"a.png (1,1,3) 1\n\xe9.png (1,1,3) 1\n", r"not UTF-8 text \(line 2\)"),
        (b"a.png (1,1,3) 1\n\n (1,1,3) 1\n", "line 3 names no photo"),
    ],
)
def test_a_list_of_an_lmdb_that_cannot_be_meant_is_one_line(folder: Path, tmp_path: Path, listed, said) -> None:
    path = lmdb_of(folder, ["a.png"], tmp_path / "p.lmdb")
    (path / "meta_info.txt").write_bytes(listed)

    with pytest.raises(ConfigError, match=rf"meta_info\.txt.*{said}"):
        open_photos(str(path), "dataroot_gt")


def test_a_damaged_page_of_an_lmdb_is_one_line(folder: Path, tmp_path: Path) -> None:
    path = lmdb_of(folder, ["a.png", "b.webp"], tmp_path / "p.lmdb")
    content = bytearray((path / "data.mdb").read_bytes())
    content[2 * 4096 :] = bytes(len(content) - 2 * 4096)  # all pages behind the two that describe the database
    (path / "data.mdb").write_bytes(content)

    with pytest.raises(ImageError, match=r"p\.lmdb: a\.png cannot be read \(.*CORRUPTED"):
        open_photos(str(path), "dataroot_gt").read("a.png")


def test_an_lmdb_that_is_cut_short_is_refused_before_it_ends_the_process(folder: Path, tmp_path: Path) -> None:
    path = lmdb_of(folder, ["a.png", "b.webp", "sub/c.jpg"], tmp_path / "p.lmdb")
    content = (path / "data.mdb").read_bytes()
    (path / "data.mdb").write_bytes(content[: len(content) // 2])

    with pytest.raises(ImageError, match=r"data\.mdb is cut short"):
        open_photos(str(path), "dataroot_gt").read("a.png")


def test_an_lmdb_without_its_package_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.lmdb").mkdir()
    monkeypatch.setitem(__import__("sys").modules, "lmdb", None)

    with pytest.raises(MissingDependency, match=r"'\.\[lmdb\]'"):
        open_photos(str(tmp_path / "p.lmdb"), "dataroot_gt")


def test_a_list_names_the_photos_to_use_in_its_order(folder: Path) -> None:
    (folder / "list.txt").write_text("# two of three\nsub/c.jpg\n\na.png (40,50,3)\n", "utf-8")

    assert open_photos(str(folder), "x", meta_info_file=str(folder / "list.txt")).names == ["sub/c.jpg", "a.png"]


def test_what_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "list.txt").write_text("9.png\n", "utf-8")
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match=r"9\.png, which does not exist"):
        open_photos(str(folder), "x", meta_info_file=str(folder / "list.txt"))
    with pytest.raises(ConfigError, match=r"dataroot_lq .*absent is not a folder"):
        open_photos(str(tmp_path / "absent"), "dataroot_lq")
    with pytest.raises(ConfigError, match=r"no photo in .*recursive"):
        open_photos(str(tmp_path / "empty"), "x")


def test_raw_files_beside_their_jpegs_are_not_photos_to_learn_from(folder: Path) -> None:
    (folder / "a.dng").write_bytes(b"II*\0")

    assert list(open_photos(str(folder), "x").names) == ["a.png", "b.webp"]


def test_grey_and_16_bit_photos_become_8_bit_rgb(photos) -> None:
    folder = photos(
        "odd", {"deep.png": np.full((8, 8, 3), 65535, np.uint16), "grey.png": np.full((8, 8), 77, np.uint8)}
    )
    source = open_photos(str(folder), "x")

    assert np.array_equal(rgb8(source.read("grey.png")), np.full((8, 8, 3), 77, np.uint8))
    assert np.array_equal(rgb8(source.read("deep.png")), np.full((8, 8, 3), 255, np.uint8))


def test_partners_are_found_by_the_template_in_the_same_folder() -> None:
    clean, degraded = ["a/1.png", "b/1.png"], ["b/1x4.jpg", "a/1x4.png"]

    assert partners(clean, degraded, "{}x4", all_used=True) == {"a/1.png": "a/1x4.png", "b/1.png": "b/1x4.jpg"}


@pytest.mark.parametrize(
    ("clean", "degraded", "said"),
    [
        (["1.png", "2.png"], ["1.png"], "1 clean photo without a degraded partner: 2.png"),
        (["1.png"], ["1.png", "3.png"], "1 degraded photo without a clean partner: 3.png"),
        (["1.png"], ["1.png", "1.jpg"], "two photos of one name: 1.png and 1.jpg"),
    ],
)
def test_a_photo_without_partner_is_named(clean: list[str], degraded: list[str], said: str) -> None:
    with pytest.raises(PairingError, match=said):
        partners(clean, degraded, "{}", all_used=True)


def test_a_list_that_chooses_some_leaves_other_partners_alone() -> None:
    assert partners(["1.png"], ["1.png", "3.png"], "{}", all_used=False) == {"1.png": "1.png"}
