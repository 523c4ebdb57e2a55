"""Start the page and keep it running until it is interrupted.

In: what the person who starts it decided, and the table of systems. Out: a server at an address of this machine. All of
its files lie in one folder, which is removed at the end.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffir.errors import UsageError
from diffir.system import System
from diffir.web.cache import page_cache
from diffir.web.guard import Guard
from diffir.web.quiet_gradio import prepare_gradio
from diffir.web.settings import USER, WebSettings, is_loopback

ICON = Path(__file__).parent / "icon.png"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class RunningPage:
    """A page that answers."""

    url: str
    """Its address, such as http://127.0.0.1:7860/."""
    folder: Path
    """The only folder that files are served from."""
    count: Callable[[], int]
    """The number of visitors who have photos or results here."""


@contextmanager
def running_page(settings: WebSettings, systems: Mapping[str, System]) -> Iterator[RunningPage]:
    """Serve the page until the end of the block, and remove its files.

    Raises:
        MissingDependency: gradio is not installed.
        UsageError: the address or port cannot be used.
    """
    with page_cache() as folder:
        prepare_gradio(folder)
        # gradio may be imported from here on.
        from diffir.web.handlers import Handlers
        from diffir.web.networks import PICTURES, Networks
        from diffir.web.page import build_page, css, head, theme
        from diffir.web.visitors import Visitors

        pictures = folder / "pictures"
        shutil.copytree(PICTURES, pictures)
        visitors = Visitors(folder / "visitors", settings)
        networks = Networks(systems, device=settings.device, precision=settings.precision)
        networks.restorer(
            networks.default
        )  # a device or precision that cannot be used is refused before the page opens
        page = build_page(Handlers(networks, visitors, settings, pictures))
        try:
            _, url, _ = page.launch(
                server_name=settings.host,
                server_port=settings.port or _free_port(settings.host),
                auth=None if settings.password is None else (USER, settings.password),
                auth_message="The person who started this page knows its password.",
                share=False,
                quiet=True,
                inline=False,
                prevent_thread_lock=True,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                num_workers=0,
                max_file_size=settings.max_bytes,
                allowed_paths=[],
                favicon_path=ICON,
                app_kwargs={"middleware": [_guard(settings)], "docs_url": None, "redoc_url": None},
                theme=theme(),
                css=css(),
                head=head(),
            )
        except OSError as error:
            raise UsageError(
                f"{settings.host} port {settings.port} cannot be used: {error}; try another --port"
            ) from error
        try:
            yield RunningPage(url, folder, lambda: len(visitors))
        finally:
            page.close(verbose=False)


def serve(settings: WebSettings, systems: Mapping[str, System], on_start: Callable[[RunningPage], None]) -> None:
    """Serve the page until the process is interrupted; ``on_start`` is called when it answers."""
    with running_page(settings, systems) as page:
        on_start(page)
        threading.Event().wait()


def _guard(settings: WebSettings) -> Any:
    from starlette.middleware import Middleware

    hosts = _LOOPBACK if is_loopback(settings.host) else None
    return Middleware(Guard, hosts=hosts, max_bytes=settings.max_bytes)


def _free_port(host: str) -> int:
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
