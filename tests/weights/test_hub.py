"""The Hugging Face Hub, as a server on 127.0.0.1 that answers as the hub does: fetching, pushing, and being offline."""

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from diffir.api import load, load_network
from diffir.cli.main import main
from diffir.errors import MissingDependency, UsageError, WeightsError
from diffir.systems import SYSTEMS
from diffir.systems.latent.diffusers_save import write_diffusers_folder
from diffir.weights.catalogue import PRETRAINED, catalogue
from diffir.weights.hub import HubName, fetch, parsed
from diffir.weights.hub_card import model_card
from tests.systems.latent.released_files import SMALL, random_network

needs_hub = pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is missing")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PHOTO = np.random.default_rng(0).random((24, 32, 3), np.float32)


class Hub(ThreadingHTTPServer):
    """Repositories in memory: name -> file name -> content."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories: dict[str, dict[str, bytes]] = {}


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        kind, *words = self.path.split("?")[0].strip("/").split("/")
        name = "/".join(words[1:3] if kind == "api" else [kind, words[0]])
        files = self.server.repositories.get(name)
        if files is None:
            return self.answer(404, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if kind == "api":
            siblings = [{"rfilename": file} for file in files]
            tree = [{"type": "file", "path": file, "size": len(content), "oid": "0"} for file, content in files.items()]
            found = tree if "tree" in words else {"id": name, "sha": COMMIT, "siblings": siblings}
            return self.answer(200, json.dumps(found).encode())
        content = files.get("/".join(words[3:]))
        if content is None:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        tag = hashlib.sha256(content).hexdigest()
        return self.answer(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        words = self.path.split("?")[0].strip("/").split("/")
        if words[-1] == "create":
            asked = json.loads(body)
            name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            name = name if "/" in name else f"me/{name}"
            self.server.repositories.setdefault(name, {})
            return self.answer(
                200, json.dumps({"url": f"http://127.0.0.1:{self.server.server_port}/{name}", "name": name}).encode()
            )
        if "preupload" in words:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return self.answer(200, json.dumps({"files": files}).encode())
        if "commit" in words:
            name = "/".join(words[2:4])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.repositories[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"http://127.0.0.1:{self.server.server_port}/{name}/commit/{COMMIT}"
            return self.answer(200, json.dumps({"commitUrl": url, "commitOid": COMMIT}).encode())
        return self.answer(200, b"{}")

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub, and an empty cache; huggingface_hub reads both addresses from its constants."""
    constants = pytest.importorskip("huggingface_hub.constants")
    server = Hub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # as a machine may set it, whose tests fetch nothing
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def restored(source: str) -> np.ndarray:
    return load(source, device="cpu", precision="fp32").restore(PHOTO)


@needs_hub
def test_weights_that_were_pushed_load_by_their_name_on_the_hub(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "photo", "hf:me/mine"]) == 0

    assert f"me/mine/commit/{COMMIT}" in capsys.readouterr().out
    assert hub.repositories["me/mine"]["model.safetensors"] == (PRETRAINED / "photo.safetensors").read_bytes()
    assert hub.repositories["me/mine"]["README.md"].startswith(b"---\nlicense: apache-2.0\n")
    assert np.array_equal(restored("hf:me/mine"), restored("photo"))


@needs_hub
def test_a_repository_in_diffusers_layout_loads_without_its_other_parts(hub: Hub, tmp_path: Path) -> None:
    write_diffusers_folder(random_network(SMALL), tmp_path / "ldm", torch.float32)
    files = [path for path in (tmp_path / "ldm").rglob("*") if path.is_file()]
    content = {path.relative_to(tmp_path / "ldm").as_posix(): path.read_bytes() for path in files}
    hub.repositories["me/ldm"] = {**content, "text_encoder/model.safetensors": b"not wanted"}

    network, card = load_network("hf:me/ldm")

    assert (card.system, card.part) == ("latent", "denoiser")
    assert torch.equal(network.denoiser.out[2].weight, random_network(SMALL).denoiser.out[2].weight)
    assert not (fetch("hf:me/ldm") / "text_encoder").exists()


@needs_hub
def test_what_was_fetched_once_loads_without_a_network(hub: Hub) -> None:
    hub.repositories["me/mine"] = {"mine.safetensors": (PRETRAINED / "photo.safetensors").read_bytes()}
    path = fetch("hf:me/mine")
    hub.shutdown()
    hub.server_close()

    assert fetch("hf:me/mine") == path
    with pytest.raises(UsageError, match="hf:me/other is not in the cache, and the hub cannot be reached"):
        fetch("hf:me/other")


@needs_hub
def test_an_offline_hub_is_said_to_be_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(UsageError, match="hf:me/mine is not in the cache, and HF_HUB_OFFLINE forbids to fetch it"):
        fetch("hf:me/mine")


@needs_hub
@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        (None, "hf:me/mine", "no such repository, or a private one"),
        ({"README.md": b""}, "hf:me/mine", "holds no file of weights"),
        ({"a.pth": b"", "b.pth": b""}, "hf:me/mine", "several files of weights: name one, such as hf:me/mine/a.pth"),
        ({"a.pth": b""}, "hf:me/mine/b.pth", "the repository has no such file"),
        ({"a.pth": b"<html>"}, "hf:me/mine", "is not a checkpoint but a web page"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(hub: Hub, files: dict | None, source: str, message: str) -> None:
    hub.repositories |= {} if files is None else {"me/mine": files}

    with pytest.raises((UsageError, WeightsError), match=message):
        load(source)


@needs_hub
def test_a_pickle_from_the_hub_runs_no_code(hub: Hub, tmp_path: Path) -> None:
    class Malice:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "was_run",))

    torch.save({"params": {"weight": torch.zeros(1)}, "more": Malice()}, tmp_path / "bad.pth")
    hub.repositories["me/mine"] = {"bad.pth": (tmp_path / "bad.pth").read_bytes()}

    with pytest.raises((WeightsError, MissingDependency)):  # without spandrel, networks of other projects are not read
        load("hf:me/mine")
    assert not (tmp_path / "was_run").exists()


def test_names_have_an_owner_a_name_a_revision_and_a_file() -> None:
    assert parsed("hf:me/mine") == HubName("me/mine", None, None)
    assert parsed("hf:me/my.net@v1.0/sub/a.pth") == HubName("me/my.net", "v1.0", "sub/a.pth")
    for wrong in ("hf:", "hf:mine", "hf:me/mine/../x.pth", "hf:me/mi ne", "hf:/me/mine"):
        with pytest.raises(UsageError, match="no name on the hub"):
            parsed(wrong)


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MissingDependency, match="hf:me/mine needs the package 'huggingface_hub'"):
        fetch("hf:me/mine")


@pytest.mark.parametrize("name", [entry.name for entry in catalogue(SYSTEMS).values() if entry.shipped])
def test_the_model_card_of_every_shipped_network_says_licence_data_and_scores(name: str) -> None:
    entry = catalogue(SYSTEMS)[name]

    _, facts, text = model_card(entry.card, f"me/{name}", has_mask=entry.facts.has_mask).split("---\n", 2)
    values = yaml.safe_load(facts)

    assert values["license"] in ("apache-2.0", "bsd-3-clause")
    results = values["model-index"][0]["results"] if entry.card.scores else []
    found = [metric["value"] for result in results for metric in result["metrics"]]
    assert sorted(found) == sorted(score.value for score in entry.scores)
    assert entry.card.data in text
    assert ("mask" in text.split("## What")[0]) == entry.facts.has_mask


@needs_hub
def test_the_hub_can_read_the_scores_of_a_model_card(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    assert main(["push", "denoise", str(tmp_path / "mine")]) == 0

    results = ModelCard.load(tmp_path / "mine/README.md").data.eval_results
    assert len(results) == len(catalogue(SYSTEMS)["denoise"].scores) > 0


def test_weights_without_a_licence_or_card_are_not_pushed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "photo", str(tmp_path / "mine.safetensors"), "--licence", ""]) == 0
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")

    assert main(["push", str(tmp_path / "mine.safetensors"), str(tmp_path / "out")]) == 1
    assert "mine states no licence: add it with diffir convert --licence" in capsys.readouterr().err
    assert main(["push", str(tmp_path / "other.pth"), str(tmp_path / "out")]) == 2
    assert "make one with diffir convert" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_loading_shipped_weights_does_not_import_the_hub() -> None:
    code = "import sys, diffir; diffir.load('photo', device='cpu'); sys.exit('huggingface_hub' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
