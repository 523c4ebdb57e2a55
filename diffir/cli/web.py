"""``diffir web``: open a page in the browser on which photos are dropped and restored.

This module turns the flags into the settings of ``diffir.web``. The page answers at 127.0.0.1 until Ctrl-C; another
address needs a password. Exit code 0 after Ctrl-C; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import getpass
import signal
import webbrowser
from typing import TYPE_CHECKING, NoReturn

from diffir.cli.parser import Parser
from diffir.cli.terminal import say

if TYPE_CHECKING:
    from diffir.web.server import RunningPage

_ASK = ""  # value of --password without a word
_MEGA = 1_000_000


def add_arguments(parser: Parser) -> None:
    """Add the flags of ``diffir web``."""
    address = parser.add_argument_group("address")
    address.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address of the page; other than 127.0.0.1 needs --password",
    )
    address.add_argument("--port", type=int, default=7860, metavar="N", help="port (default: 7860); 0 takes a free one")
    address.add_argument(
        "--password",
        nargs="?",
        const=_ASK,
        metavar="WORD",
        help="what visitors must type, beside the user name diffir; without a word it is asked for",
    )
    address.add_argument("--no_browser", action="store_true", help="do not open the browser")
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max_pixels", type=int, default=100 * _MEGA, metavar="N", help="largest result (default: 100000000 pixels)"
    )
    limits.add_argument(
        "--max_megabytes", type=int, default=200, metavar="N", help="largest file to upload (default: 200)"
    )
    limits.add_argument(
        "--max_waiting", type=int, default=16, metavar="N", help="requests that may wait for the device (default: 16)"
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
    machine.add_argument(
        "--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto", help="as for diffir restore"
    )


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    from diffir.systems import SYSTEMS
    from diffir.web.server import serve
    from diffir.web.settings import WebSettings

    password = getpass.getpass("password: ") if args.password == _ASK else args.password
    settings = WebSettings(
        host=args.host,
        port=args.port,
        password=password,
        device=args.device,
        precision=args.precision,
        max_pixels=args.max_pixels,
        max_bytes=args.max_megabytes * _MEGA,
        max_waiting=args.max_waiting,
    )

    def on_start(page: RunningPage) -> None:
        say(f"diffir web: {page.url} (Ctrl-C ends it and removes uploads and results)")
        if not args.no_browser:
            webbrowser.open(page.url)

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        serve(settings, SYSTEMS, on_start)
    except KeyboardInterrupt:
        say("diffir web: ended")
    return 0


def _interrupt(number: int, frame: object) -> NoReturn:
    """End as Ctrl-C does, so that the folder of the page is removed."""
    raise KeyboardInterrupt
