"""A chain of networks equals restoring into files one after another, bit for bit, with everything that files hold."""

import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import diffir
from diffir.batch.batch import run_jobs
from diffir.batch.dry_run import dry_run
from diffir.batch.events import Settings
from diffir.batch.jobs import plan_jobs
from diffir.cli.main import main
from diffir.errors import UsageError
from diffir.image_io import Animation, Pages, Photo, read_file, read_image, write_image
from diffir.image_io.photo import frames_of
from diffir.inference.restorer import Restorer
from diffir.photo_restorer import Chain

MakeRestorer = Callable[..., Restorer]
TWICE = {"unshuffle": 1, "upsample": 2, "global_skip": "nearest"}
FILLS = {"in_channels": 4, "unshuffle": 1, "upsample": 1, "global_skip": "none"}
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x04\0\0\0abc\0\0\0\0\0"  # the maker of the camera is "abc"
NOISE = np.random.default_rng(0)


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return NOISE.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def soft_alpha() -> np.ndarray:
    """Opacity with hidden, half hidden and opaque parts."""
    return np.repeat(np.array([[0, 0, 0, 90, 200, 255, 255, 255]], np.uint8), 16, axis=0).repeat(3, axis=1)


@pytest.fixture
def members(make_restorer: MakeRestorer) -> list[Restorer]:
    """A network of scale 1 and one that doubles the size, whose results depend on the seed."""
    return [make_restorer(name="clean", seed=3), make_restorer(TWICE, name="twice", seed=3)]


PHOTOS = {
    "rgb.png": Photo(noise(16, 24, 3)),
    "grey.png": Photo(noise(16, 24, 1)),
    "deep.png": Photo(noise(16, 24, 3, dtype=np.uint16), exif=EXIF),
    "alpha.png": Photo(noise(16, 24, 3), soft_alpha()),
    "float.tif": Photo(NOISE.random((16, 24, 3), dtype=np.float32)),
    "moving.png": Animation((Photo(noise(16, 24, 3)), Photo(noise(16, 24, 3))), (20.0, 30.0)),
    "pages.tif": Pages((Photo(noise(16, 24, 3)), Photo(noise(9, 8, 1)))),
}  # fmt: skip


@pytest.mark.parametrize("name", PHOTOS)
def test_a_chain_equals_restoring_into_files_one_after_another(
    tmp_path: Path, members: list[Restorer], name: str
) -> None:
    write_image(tmp_path / "in" / name, PHOTOS[name])
    for number, member in enumerate(members):
        source = tmp_path / ("in" if number == 0 else "0") / name
        list(run_jobs(member, plan_jobs([str(source)], tmp_path / str(number))))

    (event,) = run_jobs(Chain(members), plan_jobs([str(tmp_path / "in" / name)], tmp_path / "chain"))

    assert event.size == (48, 32)
    expected = (tmp_path / "1" / name).read_bytes()
    assert (tmp_path / "chain" / name).read_bytes() == expected
    assert frames_of(read_file(tmp_path / "chain" / name))[0].pixels.shape[:2] == (32, 48)


def test_a_chain_in_memory_equals_its_networks_in_turn_for_all_kinds_of_pictures(members: list[Restorer]) -> None:
    chain, image = Chain(members), noise(2, 16, 24, 3)
    first, second = members

    assert np.array_equal(chain(image[0]), second.restore(first.restore(image[0])))
    assert np.array_equal(chain(image), np.stack([chain(one) for one in image]))
    tensor = torch.from_numpy(image).permute(0, 3, 1, 2) / 255
    assert torch.equal(chain.restore_tensor(tensor), second.restore_tensor(first.restore_tensor(tensor)))
    assert (chain.scale, chain.name, chain.has_mask) == (2, "clean+twice", False)


def test_options_that_members_share_are_listed_once_and_the_others_for_each(make_restorer: MakeRestorer) -> None:
    chain = Chain([make_restorer(name="a", stats="global"), make_restorer(TWICE, name="b", stats="tile")])

    used = chain.in_use()

    assert used["members"] == [{"model": "a", "stats": "global"}, {"model": "b", "stats": "tile"}]
    assert (used["seed"], used["device"], used["precision"]) == (0, "cpu", "fp32")
    assert repr(chain) == "<Restorer a+b, x2, device cpu, precision fp32, tile by memory>"


def test_notes_and_tiles_of_all_members_are_joined(make_restorer: MakeRestorer) -> None:
    tiles = {"tile": 32, "tile_overlap": 8}
    chain = Chain([make_restorer(name="whole"), make_restorer(TWICE, name="cut", **tiles)])
    for member in chain.members:
        member._runner.notes = ["had to stop"]

    chain.restore(noise(80, 24, 3))

    assert chain.last_tile == 32
    assert chain.take_notes() == ["whole: had to stop", "cut: had to stop"]
    assert chain.take_notes() == []


def test_progress_grows_to_one_over_all_members(members: list[Restorer]) -> None:
    seen: list[float] = []

    Chain([*members, members[0]]).restore(noise(16, 24, 3), on_progress=seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
    assert min(seen) <= 1 / 6  # the last network gets four times the pixels of the two before


def test_the_first_network_alone_may_take_a_mask(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    fills, clean = make_restorer(FILLS, name="fills"), make_restorer(name="clean")
    image, mask = noise(16, 24, 3), soft_alpha()
    chain = Chain([fills, clean])

    assert np.array_equal(chain.restore(image, mask), clean.restore(fills.restore(image, mask)))
    write_image(tmp_path / "a.png", Photo(image, 255 - mask))
    (event,) = run_jobs(chain, plan_jobs([str(tmp_path / "a.png")], tmp_path / "out"), Settings(mask_from="alpha"))
    assert event.outcome == "done"
    with pytest.raises(UsageError, match="fills needs a mask, which only the first network of a chain can have"):
        Chain([clean, fills])
    with pytest.raises(UsageError, match="takes no mask"):
        Chain([clean, clean]).restore(image, mask)


@pytest.mark.parametrize(
    "ask",
    [
        lambda chain, image, prior: chain.restore(image, prior=prior),
        lambda chain, image, prior: chain.restore([image, image[:8]], prior=prior),
        lambda chain, image, prior: chain.restore(Photo(image), prior=prior),
        lambda chain, image, prior: chain.restore_tensor(torch.zeros(1, 3, 8, 8), prior=prior),
        lambda chain, image, prior: chain.estimate_prior(torch.zeros(1, 3, 8, 8)),
        lambda chain, image, prior: chain.estimate_prior_of(image),
    ],
)
def test_a_chain_has_no_prior_to_give_or_to_take(members: list[Restorer], ask: Callable) -> None:
    prior = members[0].estimate_prior_of(noise(16, 24, 3))

    with pytest.raises(UsageError, match=r"clean\+twice is a chain, and a chain has no single prior"):
        ask(Chain(members), noise(16, 24, 3), prior)


def test_a_pickled_chain_restores_the_same(members: list[Restorer]) -> None:
    image = noise(16, 24, 3)

    again = pickle.loads(pickle.dumps(Chain(members)))

    assert np.array_equal(again(image), Chain(members)(image))


def test_samples_have_the_seeds_of_each_member(tmp_path: Path, members: list[Restorer]) -> None:
    pixels = noise(16, 24, 3, dtype=np.uint16)
    write_image(tmp_path / "a.png", pixels)
    chain = Chain(members)

    events = list(run_jobs(chain, plan_jobs([str(tmp_path / "a.png")], tmp_path / "out", samples=2)))

    for event, seed in zip(events, (3, 4), strict=True):
        first, second = (member.with_seed(seed) for member in members)
        assert np.array_equal(read_image(event.target).pixels, second.restore(first.restore(pixels)))
    assert chain.with_seed(4).members[1].engine.network is members[1].engine.network
    members[0].engine.seed_meaning = members[1].engine.seed_meaning = ""
    assert not chain.draws_at_random


def test_several_restorers_share_the_files_and_a_dry_run_tells_the_sizes(
    tmp_path: Path, members: list[Restorer]
) -> None:
    for number in range(4):
        write_image(tmp_path / f"in/{number}.png", noise(16, 24, 3))
    jobs = plan_jobs([str(tmp_path / "in")], tmp_path / "out")

    said = list(dry_run(Chain(members), jobs, Settings(outscale=3)))
    done = list(run_jobs([Chain(members), Chain(members)], jobs, Settings(outscale=3)))

    assert [event.size for event in said] == [event.size for event in done] == [(72, 48)] * 4


def test_a_video_goes_through_all_networks(tmp_path: Path, members: list[Restorer]) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    frames = [noise(16, 16, 3) for _ in range(2)]
    for number, frame in enumerate(frames):
        write_image(tmp_path / f"{number}.png", frame)
    clip = tmp_path / "clip.mkv"
    lossless = ["-c:v", "ffv1", "-pix_fmt", "bgr0", str(clip)]
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(tmp_path / "%d.png"), *lossless], check=True)

    (event,) = run_jobs(Chain(members), plan_jobs([str(clip)], tmp_path / "out"))

    assert (event.outcome, event.size) == ("done", (32, 32))


def test_names_joined_by_commas_or_plus_signs_load_a_chain(tmp_path: Path) -> None:
    chain = diffir.load("photo, sr_x2", device="cpu", seed=5, stats="local")

    assert [member.name for member in diffir.load("photo+sr_x2", device="cpu").members] == ["photo", "sr_x2"]
    assert (chain.name, chain.scale, chain.options.seed) == ("photo+sr_x2", 2, 5)
    assert chain.in_use()["stats"] == "local"
    assert len(diffir.load("photo", device="cpu").members) == 1
    with pytest.raises(UsageError, match="lacks a name"):
        diffir.load("photo,")
    with pytest.raises(UsageError, match="unknown option 'stat'"):
        diffir.load("photo,sr_x2", stat="local")


def test_an_option_of_one_member_is_not_passed_to_the_others() -> None:
    chain = diffir.load("photo,realesrgan_general_x4", device="cpu", denoise_strength=0.25, stats="local")

    photo, general = (member.in_use() for member in chain.members)

    assert (photo["stats"], general["denoise_strength"]) == ("local", 0.25)


def test_a_file_whose_name_has_a_comma_is_one_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = Path(diffir.__file__).parent / "weights/pretrained/sr_x2.safetensors"
    (tmp_path / "a,b+c.safetensors").write_bytes(weights.read_bytes())

    assert len(diffir.load("a,b+c.safetensors", device="cpu").members) == 1


def test_the_command_line_says_that_a_chain_takes_no_prior(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_image(tmp_path / "a.png", noise(16, 24, 3))
    call = ["restore", str(tmp_path / "a.png"), "-o", f"{tmp_path}/out/", "-n", "photo,sr_x2"]

    for flags in (["--share_prior"], ["--save_prior", str(tmp_path / "p")]):
        assert main([*call, *flags]) == 2
        assert capsys.readouterr().err.endswith("is a chain, which has no single prior\n")
    assert main(call) == 0
    assert read_image(tmp_path / "out/a.png").pixels.shape == (32, 48, 3)


def test_a_chain_of_nothing_returns_the_photo(tmp_path: Path) -> None:
    image, chain = noise(16, 24, 3), Chain([], name="unchanged")

    assert np.array_equal(chain.restore(image), image)
    assert (chain.scale, chain.has_mask, chain.draws_at_random, chain.last_tile) == (1, False, False, None)
    assert chain.in_use()["members"] == []
