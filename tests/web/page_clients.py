"""Helpers of the tests of the page: a page on a free port, and clients that call its functions without a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from diffir.systems import SYSTEMS
from diffir.web.server import RunningPage, running_page
from diffir.web.settings import WebSettings

SAMPLE = Path(__file__).resolve().parents[2] / "datasets/samples/noisy/parrots.png"
# Importing gradio here would let it ask other servers, as it does by default.
needs_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason="the extra web is not installed")


@contextmanager
def page_on_free_port(cache: Path, **settings: Any) -> Iterator[RunningPage]:
    """Serve a page whose folder lies in ``cache``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFIR_CACHE", str(cache))
        with running_page(WebSettings(port=0, device="cpu", precision="fp32", **settings), SYSTEMS) as page:
            yield page


class Visit:
    """A visitor without a browser, with a session of its own."""

    def __init__(self, url: str, **login: Any) -> None:
        from gradio_client import Client

        self.client = Client(url, verbose=False, download_files=False, **login)
        self.url = url
        endpoints = self.client.view_api(return_format="dict", print_info=False)["named_endpoints"]
        parameters = endpoints["/restore"]["parameters"]
        self.defaults = {one["parameter_name"]: one.get("parameter_default") for one in parameters}
        self.labels = {one["label"]: one["parameter_name"] for one in parameters}
        """The parameters of ``/restore`` by what stands beside their controls."""

    def add(self, *photos: Path, network: str = "denoise") -> str:
        """Upload photos; return what the page says, which is empty if all is well."""
        from gradio_client import handle_file

        files = [handle_file(str(photo)) for photo in photos]
        return str(self.client.predict(files, network, api_name="/add")[-2])

    def submit(self, network: str = "denoise", **values: Any) -> Any:
        """Ask for all photos to be restored; the job that is returned knows when it is done."""
        return self.client.submit(**{**self.defaults, "network": network, **values}, api_name="/restore")

    def restore(self, network: str = "denoise", **values: Any) -> list[tuple[str, bytes]]:
        """Restore all photos, and return name and bytes of each download."""
        return self.downloads(str(self.submit(network, **values).result(timeout=300)[-1]))

    def downloads(self, results: str) -> list[tuple[str, bytes]]:
        """Fetch what the table of results links to."""
        import httpx

        links = re.findall(r'href="([^"]+)" download="([^"]+)"', results)
        return [
            (unescape(name), httpx.get(self.url + unescape(address)).raise_for_status().content)
            for address, name in links
        ]

    def clear(self) -> None:
        """Forget all photos."""
        self.client.predict(api_name="/clear")

    def close(self) -> None:
        """Leave, as a browser whose tab is closed."""
        self.client.close()
