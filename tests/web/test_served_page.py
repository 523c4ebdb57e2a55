"""The page as it is served: what can be fetched, who must log in, what is left afterwards."""

import io
import socket
import subprocess
import sys
import time
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from diffir.cli.main import main
from diffir.image_io import write_image
from diffir.inference.options import RestoreOptions
from diffir.systems import SYSTEMS
from tests.web.page_clients import SAMPLE, Visit, needs_gradio, page_on_free_port

pytestmark = [pytest.mark.slow, needs_gradio]
httpx = pytest.importorskip("httpx", reason="the extra web is not installed")  # it comes with gradio


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with page_on_free_port(tmp_path_factory.mktemp("cache"), max_waiting=1) as running:
        yield running


def test_the_download_is_the_file_that_the_command_writes(page, small, tmp_path):
    visit = Visit(page.url)
    assert visit.add(small) == ""

    ((name, content),) = visit.restore("denoise")

    command = ["restore", str(small), "-o", f"{tmp_path}/out/", "-n", "denoise", "--device", "cpu", "--fp32"]
    assert main(command) == 0
    assert name == "small.png"
    assert content == (tmp_path / "out" / "small.png").read_bytes()
    visit.close()


def test_every_option_that_a_system_declares_stands_on_the_page_by_its_name(page):
    of_the_machine = {"device", "precision", "tile", "tile_overlap", "engine", "graphs"}
    declared = {
        field.name
        for options in (RestoreOptions, *(system.restore_options for system in SYSTEMS.values()))
        for field in fields(options)
        if field.metadata.get("flag", True)
    }
    visit = Visit(page.url)

    assert {"strength", "steps", "denoise_strength"} <= declared - of_the_machine
    missing = {name for name in declared if name.replace("_", " ").capitalize() not in visit.labels}
    assert missing == of_the_machine
    visit.close()


@pytest.mark.parametrize(
    ("network", "option", "value"),
    [("ldm_sr_x4", "strength", 0.5), ("ldm_sr_x4", "steps", 2), ("realesrgan_general_x4", "denoise_strength", 0.2)],
)
def test_an_option_reaches_the_network(page, small, tmp_path, network, option, value):
    visit = Visit(page.url)
    visit.add(small)

    ((_, content),) = visit.restore(network, **{visit.labels[option.replace("_", " ").capitalize()]: value})

    command = ["restore", str(small), "-o", f"{tmp_path}/out/", "-n", network, "--device", "cpu", "--fp32"]
    assert main([*command, f"--{option}", str(value)]) == 0
    assert content == (tmp_path / "out" / "small.png").read_bytes()
    visit.close()


def test_several_photos_come_as_a_zip_too_and_a_bad_one_costs_a_sentence(page, small, tmp_path):
    other, bad = tmp_path / "other.tif", tmp_path / "bad.jpg"
    bad.write_text("no photo")
    write_image(other, np.zeros((32, 32, 3), np.uint16))
    visit = Visit(page.url)

    said = visit.add(small, bad, other)

    assert "bad.jpg: not an image in a format" in said
    downloads = dict(visit.restore())
    archive = zipfile.ZipFile(io.BytesIO(downloads.pop("restored.zip")))
    assert {name: archive.read(name) for name in archive.namelist()} == downloads
    assert set(downloads) == {"small.png", "other.tif"}
    visit.close()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "/proc/self/environ", "../../../../etc/passwd", str(Path(__file__)), str(SAMPLE), "/tmp",
        "C:/Windows/win.ini", "https://example.org/a.png",
    ],
)  # fmt: skip
def test_no_file_outside_the_folder_of_the_page_is_served(page, path):
    for address in (f"gradio_api/file={path}", f"gradio_api/file/{path}", f"static/{path}", f"assets/{path}"):
        assert httpx.get(page.url + address).status_code in (400, 403, 404), address


def test_a_file_of_this_machine_cannot_be_named_as_an_upload(page):
    file = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}

    call = httpx.post(f"{page.url}gradio_api/call/add", json={"data": [[file], "denoise"]}).raise_for_status().json()
    answer = httpx.get(f"{page.url}gradio_api/call/add/{call['event_id']}").text

    assert "event: error" in answer
    assert "hostname" not in answer


def test_a_full_queue_answers_in_a_sentence_and_the_others_finish(page, small):
    visits = [Visit(page.url) for _ in range(3)]
    for visit in visits:
        visit.add(small)
    busy = visits[0].submit("ldm_sr_x4", samples=4)
    while busy.status().code.name != "PROGRESS" and not busy.done():
        pass
    waiting = visits[1].submit()
    while waiting.status().code.name not in ("IN_QUEUE", "PROGRESS") and not waiting.done():
        pass

    with pytest.raises(Exception, match="429 Too Many Requests"):
        visits[2].submit().result(timeout=60)

    assert len(visits[0].downloads(str(busy.result(timeout=300)[-1]))) == 7  # mean, map, 4 samples, zip
    assert len(visits[1].downloads(str(waiting.result(timeout=300)[-1]))) == 1
    for visit in visits:
        visit.close()


def test_who_leaves_takes_the_files_along(small, tmp_path):
    with page_on_free_port(tmp_path / "cache") as page:  # visitors of other tests may still be leaving
        visit = Visit(page.url)
        visit.add(small)
        assert page.count() == 1

        visit.close()

        for _ in range(100):
            if page.count() == 0:
                break
            time.sleep(0.2)
        assert page.count() == 0


def test_with_a_password_nothing_is_shown_without_it(tmp_path, small):
    with page_on_free_port(tmp_path / "cache", password="secret") as page:
        assert httpx.get(page.url + "config").status_code == 401
        assert httpx.get(page.url + f"gradio_api/file={page.folder}/page.lock").status_code == 401
        assert httpx.post(page.url + "login", data={"username": "diffir", "password": "wrong"}).status_code == 400
        assert httpx.post(page.url + "login", data={"username": "diffir", "password": "secret"}).status_code == 200


def test_a_taken_port_is_reported_in_one_line(page):
    port = page.url.rstrip("/").rpartition(":")[2]

    done = subprocess.run(
        [sys.executable, "-m", "diffir", "web", "--no_browser", "--port", port],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 2
    assert "another --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_neither_start_nor_use_connects_to_another_machine(tmp_path, small, monkeypatch):
    """Every address that this process connects to or resolves, by any library, is the loopback."""
    asked = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, address: (asked.append(address[0]), connect(self, address))[1]
    )
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **words: (asked.append(host), resolve(host, *more, **words))[1]
    )

    with page_on_free_port(tmp_path / "cache") as page:
        visit = Visit(page.url)
        visit.add(small)
        visit.restore()
        visit.close()

    assert {str(host) for host in asked} <= {"127.0.0.1", "localhost"}
