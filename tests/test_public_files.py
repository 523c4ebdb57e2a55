"""Public files: the order of places that are searched, downloads, and checksums."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from diffir.errors import WeightsError
from diffir.public_files import SCHEMES, PublicFile, cache_folder, find, torch_home

CONTENT = b"weights"
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("diffir.public_files.SCHEMES", ("http", "file"))  # https needs a certificate


@pytest.fixture
def file(tmp_path) -> PublicFile:
    """Return a public file whose address is a local folder."""
    (tmp_path / "net").write_bytes(CONTENT)
    return PublicFile("kept.pth", "hub/kept.pth", f"file://{tmp_path / 'net'}", SUM)


def put(path, content: bytes = CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_path_of_the_user_comes_first_then_our_cache_then_torchs(file, tmp_path):
    theirs = put(tmp_path / "torch" / "hub" / "kept.pth")
    assert find(file).path == theirs

    ours = put(tmp_path / "cache" / "kept.pth")
    assert find(file).path == ours

    named = put(tmp_path / "mine.pth", b"of my own making")
    assert find(file, named).path == named


def test_an_absent_file_is_a_reason_with_its_place_and_address(file, tmp_path):
    path, reason = find(file)

    assert path is None
    assert reason == f"put {file.url} at {tmp_path / 'cache' / 'kept.pth'}"


def test_a_path_of_the_user_that_leads_nowhere_is_a_reason_even_where_a_cache_holds_the_file(file, tmp_path):
    put(tmp_path / "cache" / "kept.pth")

    path, reason = find(file, tmp_path / "gone.pth", download=True)

    assert path is None
    assert reason == f"no file {tmp_path / 'gone.pth'}; put {file.url} there"


def test_a_file_is_fetched_only_when_asked_and_only_once(file, tmp_path):
    assert find(file).path is None
    fetched = find(file, download=True).path
    (tmp_path / "net").unlink()

    assert fetched.read_bytes() == CONTENT
    assert find(file, download=True).path == fetched


@pytest.mark.parametrize("content", [None, b"<html>please log in</html>"])
def test_a_failed_fetch_is_a_reason_and_leaves_nothing_behind(content, file, tmp_path):
    (tmp_path / "net").unlink()
    if content is not None:
        put(tmp_path / "net", content)

    path, reason = find(file, download=True)

    assert path is None
    assert "could not be downloaded" in reason and "\n" not in reason
    assert not list((tmp_path / "cache").glob("*"))


class Server(BaseHTTPRequestHandler):
    """Sends half of the content under /half, all of it without a length under /all, and redirects under /away."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "ftp://127.0.0.1/net")
        if self.path == "/half":
            self.send_header("Content-Length", str(2 * len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address():
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_answer_that_ends_early_is_no_download(address, file, tmp_path):
    path, reason = find(file._replace(url=f"{address}/half"), download=True)

    assert path is None and not list((tmp_path / "cache").glob("*"))
    assert f"could not be downloaded ({len(CONTENT)} of {2 * len(CONTENT)} bytes arrived)" in reason


def test_an_answer_without_a_length_is_held_against_the_sum(address, file):
    assert find(file._replace(url=f"{address}/all"), download=True).path.read_bytes() == CONTENT


def test_an_answer_without_an_end_is_refused(address, file, monkeypatch):
    monkeypatch.setattr("diffir.public_files.LARGEST_DOWNLOAD", len(CONTENT) - 1)

    assert "bytes arrived" in find(file._replace(url=f"{address}/all"), download=True).reason


def test_addresses_and_redirections_other_than_https_are_refused(address, file, monkeypatch):
    assert "only http, file is used, not ftp:" in find(file._replace(url=f"{address}/away"), download=True).reason

    monkeypatch.setattr("diffir.public_files.SCHEMES", SCHEMES)

    assert SCHEMES == ("https",)
    assert "only https is used, not http:" in find(file._replace(url=f"{address}/all"), download=True).reason


@pytest.mark.parametrize("folder", ["cache", "torch/hub"])
def test_a_cut_file_is_fetched_again(folder, file, tmp_path):
    put(tmp_path / folder / "kept.pth", CONTENT[:3])

    assert find(file, download=True).path == tmp_path / "cache" / "kept.pth"
    assert find(file).path.read_bytes() == CONTENT


def test_a_whole_file_of_another_place_serves_for_a_cut_one(file, tmp_path):
    put(tmp_path / "cache" / "kept.pth", CONTENT[:3])

    whole = put(tmp_path / "torch" / "hub" / "kept.pth")

    assert find(file).path == whole


def test_a_cut_file_that_cannot_be_fetched_again_is_one_error(file, tmp_path):
    put(tmp_path / "cache" / "kept.pth", CONTENT[:3])
    (tmp_path / "net").unlink()

    with pytest.raises(WeightsError, match=r"is damaged: .*; that failed \(.*No such file"):
        find(file, download=True)


def test_a_file_without_a_known_sum_is_used_only_where_it_is_named(file, tmp_path):
    kept = put(tmp_path / "cache" / "kept.pth")
    unknown = file._replace(sha256="")

    path, reason = find(unknown, download=True)

    assert path is None and f"no checksum of {file.url} is known" in reason
    assert find(unknown, kept).path == kept


@pytest.mark.parametrize("folder", ["cache", "torch/hub"])
def test_a_damaged_file_is_refused(folder, file, tmp_path):
    put(tmp_path / folder / "kept.pth", b"half of the wei")

    with pytest.raises(WeightsError, match=f"is damaged: its sha256 begins .*, not {SUM[:8]}; download it again"):
        find(file)


def test_digits_in_a_files_name_are_checked(file, tmp_path):
    good, bad = f"net-{SUM[:8]}.pth", "net-01234567.pth"

    assert find(file, put(tmp_path / good)).path == tmp_path / good
    with pytest.raises(WeightsError, match="not 01234567"):
        find(file, put(tmp_path / bad))


def test_caches_are_in_the_users_folder_by_default(monkeypatch, tmp_path):
    for name in ("DIFFIR_CACHE", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)

    assert (cache_folder(), torch_home()) == (tmp_path / ".cache" / "diffir", tmp_path / ".cache" / "torch")
