"""The page without a browser: what is refused, what is kept, what is served, and what is made of photos."""

import asyncio
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from diffir.cli.main import main
from diffir.errors import DiffIRError, UsageError
from diffir.image_io import Photo, read_image, write_image
from diffir.inference.options import RestoreOptions
from diffir.systems import SYSTEMS
from diffir.web.cache import page_cache
from diffir.web.controls import changed, controls_of, shared_controls
from diffir.web.guard import Guard
from diffir.web.restoring import Order, Pace, Stopped, restore_photo, write_zip
from diffir.web.settings import WebSettings
from diffir.web.views import write_view
from diffir.web.visitors import Outcome, ResultFile, Visitor, Visitors


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A 16-bit TIFF with alpha, a profile and metadata."""
    from PIL import ImageCms

    rng = np.random.default_rng(0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = rng.integers(0, 65536, (24, 32, 3), dtype=np.uint16)
    alpha = np.full((24, 32), 65535, np.uint16)
    alpha[:4] = 1000
    path = tmp_path / "in" / "scan.tif"
    write_image(path, Photo(pixels, alpha=alpha, icc_profile=profile, dpi=(300.0, 300.0)))
    return path


@pytest.fixture
def visitor(tmp_path: Path) -> Visitor:
    return Visitor(tmp_path / "visitor", WebSettings(max_pixels=2_000, max_bytes=100_000, max_photos=2))


# Settings


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "my-machine"])
def test_an_address_that_other_machines_reach_needs_a_password(host):
    with pytest.raises(UsageError, match="needs a password"):
        WebSettings(host=host)

    assert WebSettings(host=host, password="word").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_the_loopback_needs_no_password(host):
    assert WebSettings(host=host).password is None


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"max_pixels": 0}, {"max_waiting": 0}, {"password": ""}])
def test_a_setting_that_makes_no_sense_is_refused_in_one_sentence(wrong):
    with pytest.raises(UsageError) as refused:
        WebSettings(**wrong)

    assert "\n" not in str(refused.value)


def test_the_command_refuses_another_address_without_a_password(capsys):
    assert main(["web", "--host", "0.0.0.0", "--no_browser"]) == 2

    assert "needs a password" in capsys.readouterr().err


def test_the_command_has_no_flag_that_shares_the_page(capsys):
    with pytest.raises(SystemExit):
        main(["web", "--share"])

    assert "unknown flag --share" in capsys.readouterr().err


# The folder of the page


def test_the_folder_of_a_page_is_private_and_gone_at_its_end(tmp_path):
    with page_cache(tmp_path) as folder:
        (folder / "upload").mkdir()
        (folder / "upload" / "photo.png").write_bytes(b"private")
        assert folder.stat().st_mode & 0o077 == 0

    assert not list(tmp_path.iterdir())


def test_an_interrupt_removes_the_folder_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), page_cache(tmp_path):
        raise KeyboardInterrupt

    assert not list(tmp_path.iterdir())


def test_what_a_killed_page_left_is_removed_and_a_running_page_is_not_touched(tmp_path):
    left = tmp_path / "0123456789abcdef"
    left.mkdir()
    (left / "page.lock").touch()
    (left / "photo.png").write_bytes(b"private")

    with page_cache(tmp_path) as running, page_cache(tmp_path):
        assert running.is_dir()
        assert not left.exists()


# Controls


def test_every_option_of_a_photo_has_a_control_and_those_of_the_machine_have_none():
    names = {control.name for control in shared_controls()}

    assert names == set(vars(RestoreOptions)["__dataclass_fields__"]) - {
        "device", "precision", "tile", "tile_overlap", "strength",
    }  # fmt: skip


def test_no_folder_of_this_machine_can_be_named():
    assert [control.name for control in controls_of(SYSTEMS["diffir"].restore_options)] == ["stats"]


def test_controls_have_the_choices_ranges_and_texts_of_the_fields():
    steps, sampler, eta, *_ = controls_of(SYSTEMS["latent"].restore_options)

    assert (steps.kind, steps.lowest, steps.highest, steps.is_whole) == ("number", 1, 1000, True)
    assert (sampler.kind, sampler.choices) == ("choice", ("auto", "ddim", "dpm"))
    assert (eta.kind, eta.lowest, eta.highest) == ("slider", 0, 1)
    assert "DPM-Solver++" in sampler.help


def test_an_option_of_a_new_system_gets_its_control_without_a_line_in_the_page():
    @dataclass(frozen=True)
    class New:
        mood: Literal["calm", "wild"] = field(default="calm", metadata={"help": "how it looks"})
        twice: bool = False
        """Restores twice."""

    mood, twice = controls_of(New)

    assert (mood.kind, mood.choices, mood.help) == ("choice", ("calm", "wild"), "how it looks")
    assert (twice.kind, twice.help) == ("switch", "Restores twice.")


def test_only_changed_controls_become_options():
    controls = controls_of(SYSTEMS["latent"].restore_options)
    values = [control.default for control in controls]

    assert changed(controls, values) == {}
    assert changed(controls, [8.0, "ddim", *values[2:]]) == {"steps": 8, "sampler": "ddim"}
    assert changed(controls, ["", *values[1:]]) == {}


# Photos of visitors


def test_a_photo_is_taken_in_with_a_view_of_the_same_pixels(visitor, photo):
    taken = visitor.add(photo)

    view, original = read_image(taken.view), read_image(photo)
    assert np.array_equal(view.pixels, original.pixels)
    assert np.array_equal(view.alpha, original.alpha)
    assert view.icc_profile == original.icc_profile
    assert taken.size == (32, 24)


def test_the_view_of_a_jpeg_has_the_pixels_that_diffir_reads(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    write_image(tmp_path / "a.jpg", image, quality=50)

    write_view(tmp_path / "a.jpg", tmp_path / "a.png", max_pixels=256)

    assert np.array_equal(read_image(tmp_path / "a.png").pixels, read_image(tmp_path / "a.jpg").pixels)


def test_a_bad_file_is_refused_in_a_sentence_that_shows_no_folder(visitor, tmp_path):
    (tmp_path / "letter.jpg").write_text("dear reader")

    with pytest.raises(DiffIRError) as refused:
        visitor.add(tmp_path / "letter.jpg")

    assert str(refused.value).startswith("letter.jpg: not an image")
    assert str(tmp_path) not in str(refused.value)
    assert not visitor.photos
    assert not list(visitor.folder.iterdir())


def test_files_and_photos_that_are_too_large_are_refused(visitor, tmp_path):
    (tmp_path / "bytes.png").write_bytes(bytes(100_001))
    write_image(tmp_path / "pixels.png", np.zeros((50, 50, 3), np.uint8))

    with pytest.raises(DiffIRError, match="larger than 0 MB"):
        visitor.add(tmp_path / "bytes.png")
    with pytest.raises(DiffIRError, match="50 x 50 is more than 2000 pixels"):
        visitor.add(tmp_path / "pixels.png")


def test_more_photos_than_the_limit_are_refused(visitor, photo):
    visitor.add(photo)
    visitor.add(photo)

    with pytest.raises(UsageError, match="2 photos at a time"):
        visitor.add(photo)


def test_a_visitor_who_leaves_takes_everything_along(tmp_path, photo):
    visitors = Visitors(tmp_path / "visitors", WebSettings())
    mine, other = visitors.of("one").add(photo), visitors.of("two").add(photo)

    visitors.leave("one")

    assert len(visitors) == 1
    assert not mine.path.exists()
    assert other.path.exists()
    assert photo.exists()


# Restoring


def test_the_result_is_the_file_that_restore_file_writes(visitor, photo, make_restorer, tmp_path):
    from diffir.photo_restorer import Restorer

    toy = make_restorer()
    assert isinstance(toy, Restorer)
    expected = toy.restore_file(photo, tmp_path / "expected" / "scan.tif")

    outcome = restore_photo(toy, visitor.add(photo), Order("toy"), max_pixels=2_000)

    (file,) = outcome.files
    assert file.path.name == "scan.tif"
    assert file.path.read_bytes() == expected.read_bytes()
    assert np.array_equal(read_image(file.view).pixels, read_image(expected).pixels)


def test_several_samples_come_with_their_mean_and_uncertainty(visitor, photo, make_restorer, tmp_path):
    outcome = restore_photo(make_restorer(), visitor.add(photo), Order("toy", samples=3), max_pixels=2_000)

    assert [file.label for file in outcome.files] == ["mean", "uncertainty", "sample 1", "sample 2", "sample 3"]
    assert "mean of 3 results" in outcome.note
    mean = read_image(outcome.files[0].path).pixels.astype(int)
    samples = np.mean([read_image(file.path).pixels for file in outcome.files[2:]], axis=0)
    assert np.abs(mean - samples).max() <= 1
    assert outcome.files[1].path.name == "scan_std.png"


def test_a_result_beyond_the_limit_is_refused_in_a_sentence(visitor, photo, make_restorer):
    outcome = restore_photo(make_restorer(), visitor.add(photo), Order("toy"), max_pixels=700)

    assert not outcome.files
    assert outcome.error.startswith("scan.tif: ")
    assert str(visitor.folder) not in outcome.error


def test_a_visitor_can_end_the_work_in_the_middle_of_a_photo(visitor, photo, make_restorer, monkeypatch):
    monkeypatch.setattr("diffir.batch.queue_items._PROGRESS_INTERVAL", 0)

    def stop(share: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        restore_photo(make_restorer(), visitor.add(photo), Order("toy"), max_pixels=2_000, on_share=stop)


def test_a_saved_prior_can_be_given_to_another_photo_and_a_foreign_one_is_refused(visitor, photo, make_restorer):
    toy, taken = make_restorer(), visitor.add(photo)

    saved = restore_photo(toy, taken, Order("toy", save_prior=True), max_pixels=2_000).files[-1]
    again = restore_photo(toy, taken, Order("toy", prior=saved.path), max_pixels=2_000)
    other = restore_photo(make_restorer(name="other"), taken, Order("other", prior=saved.path), max_pixels=2_000)

    assert saved.label == "prior"
    assert again.files
    assert "is a prior of toy, which other cannot use" in other.error


def test_the_zip_holds_every_result_once_under_its_name(visitor, photo, tmp_path):
    for text in ("one", "two"):
        taken = visitor.add(photo)
        path = taken.folder / "results" / "scan.tif"
        path.parent.mkdir()
        path.write_text(text)
        taken.outcome = Outcome((ResultFile("", path, None),))

    archive = write_zip(visitor.photos, tmp_path / "all.zip")

    with zipfile.ZipFile(archive) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == {"scan.tif": b"one", "scan_2.tif": b"two"}


def test_the_time_left_follows_from_the_share_that_is_done(monkeypatch):
    clock = iter([0.0, 0.5, 10.0, 3_000.0])
    monkeypatch.setattr("diffir.web.restoring.time.monotonic", lambda: next(clock))
    pace = Pace([100, 300])

    assert pace.share(1, 0.5) == pytest.approx((100 + 150) / 400)
    assert pace.left(0.5) == ""  # too early to tell
    assert pace.left(0.25) == "about 30 s left"
    assert pace.left(0.5) == "about 50 min left"


# The guard


def ask(
    path: str, *, host: str = "127.0.0.1:7860", body: bytes = b"", kind: str = "", length: int | None = None,
    status: int = 200,
):  # fmt: skip
    """Send one request through a guard; return the status, the text and the headers of the answer.

    ``status`` is that of the server behind the guard, which answers with the body of the request.
    """
    sent: list[dict] = []

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": (await receive())["body"]})

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = {"host": host, "content-type": kind, "content-length": str(len(body) if length is None else length)}
    scope = {"type": "http", "path": path, "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    guard = Guard(answer, hosts=frozenset({"127.0.0.1", "localhost"}), max_bytes=1_000_000)
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], sent[1]["body"].decode(), dict(sent[0]["headers"])


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "192.168.0.7:7860"])
def test_a_page_that_renames_its_server_to_ours_is_refused(host):
    assert ask("/", host=host)[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://example.org/a.png",
        "/gradio_api/file=HTTPS://example.org/a.png",
        "/gradio_api/file=http%3A//example.org/a.png",
        "/gradio_api/proxy=https://example.org/",
        "/gradio_api/run-history/records",
    ],
)
def test_addresses_of_other_servers_are_not_fetched(path):
    assert ask(path)[:2] == (403, "This page fetches nothing from other servers.")


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"path": "https://example.org/a.png", "meta": {"_type": "gradio.FileData"}}]},
        {"data": [{"deep": [{"path": "http://127.0.0.1:9/secret"}]}]},
    ],
)
def test_a_file_that_is_named_by_an_address_is_refused(body):
    hidden = json.dumps(body).replace("path", "p\\u0061th").encode()

    assert ask("/gradio_api/queue/join", body=json.dumps(body).encode(), kind="application/json")[0] == 400
    assert ask("/gradio_api/queue/join", body=hidden, kind="application/json")[0] == 400


def test_an_honest_request_passes_unchanged_with_headers_that_keep_the_browser_here():
    body = json.dumps({"data": [{"path": "/cache/a.png"}]}).encode()

    status, text, headers = ask("/gradio_api/queue/join", body=body, kind="application/json")

    assert (status, text) == (200, body.decode())
    assert b"default-src 'self'" in headers[b"content-security-policy"]


def test_an_upload_beyond_the_limit_is_refused_before_it_is_read():
    status, sentence, _ = ask("/gradio_api/upload", length=50_000_000)

    assert (status, sentence) == (413, "The file is larger than 1 MB, the limit of this page.")


def test_a_full_queue_is_answered_in_our_words_with_a_status_whose_words_the_browser_shows():
    status, text, headers = ask("/gradio_api/queue/join", body=b"{}", kind="application/json", status=503)

    assert status == 429
    assert json.loads(text)["detail"].startswith("The page is busy with other photos.")
    assert b"content-security-policy" in headers
    assert ask("/gradio_api/queue/data", body=b"{}", status=503)[:2] == (503, "{}")
