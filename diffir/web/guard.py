"""What the page refuses before gradio sees it, and the headers that keep a browser from asking any other server.

In: the requests of a browser, as ASGI has them. Out: the same requests, or a refusal of one sentence. Refused are
addresses that lead elsewhere (gradio would fetch them), hosts that are not ours (a page elsewhere could rename its
server to 127.0.0.1 and read ours), and bodies that are too large.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# gradio evaluates scripts of its own and keeps pictures in data and blob addresses; everything comes from this server.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_API = "/gradio_api/"
_ELSEWHERE = ("proxy=", "file=http:", "file=https:", "run-history", "runs")
_BUSY = "The page is busy with other photos. Yours stay here: press the button again in a moment."
_LARGEST_JSON = 2_000_000  # bytes; a request holds names and numbers, and files come as uploads
_SPARE = 100_000  # bytes of an upload besides the file itself


class Guard:
    """ASGI middleware around gradio's server."""

    def __init__(self, app: Any, *, hosts: frozenset[str] | None, max_bytes: int) -> None:
        """
        Args:
            hosts: names by which the page may be addressed; None allows all.
            max_bytes: largest size of an uploaded file.
        """
        self._app = app
        self._hosts = hosts
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = unquote(str(scope["path"]))
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if self._hosts is not None and _host_of(headers.get("host", "")) not in self._hosts:
            await _refuse(send, 403, "This page answers at its own address only.")
            return
        if path.startswith(_API) and path[len(_API) :].lower().startswith(_ELSEWHERE):
            await _refuse(send, 403, "This page fetches nothing from other servers.")
            return
        is_json = "json" in headers.get("content-type", "")
        limit = _LARGEST_JSON if is_json else self._max_bytes + _SPARE
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            await _refuse(send, 413, f"The file is larger than {self._max_bytes / 1e6:.0f} MB, the limit of this page.")
            return
        if is_json:
            body = await _body(receive, limit)
            if body is None or _leads_elsewhere(body):
                await _refuse(send, 400, "This page takes uploaded files only.")
                return
            receive = _again(body, receive)
        send = _with_headers(send, is_file=path.startswith(f"{_API}file="))
        await self._app(scope, receive, _with_our_sentence(send) if path == f"{_API}queue/join" else send)


def _host_of(header: str) -> str:
    """The name in a Host header, without its port."""
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.partition(":")[0].lower()


async def _body(receive: Receive, limit: int) -> bytes | None:
    """Read a body whole; None if it exceeds the limit or the browser has gone."""
    parts, size, is_more = [], 0, True
    while is_more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        is_more = message.get("more_body", False)
        if size > limit:
            return None
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A function that hands out a body that was read already, then what comes behind it."""
    waiting: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return replay


def _leads_elsewhere(body: bytes) -> bool:
    """Return whether a request names a file by an address, which gradio would download."""
    try:
        return _has_address(json.loads(body)) if body else False
    except (ValueError, RecursionError):
        return True  # what we cannot read, gradio shall not read either


def _has_address(value: object) -> bool:
    if isinstance(value, dict):
        path = value.get("path")
        return (isinstance(path, str) and "://" in path) or any(map(_has_address, value.values()))
    return isinstance(value, list) and any(map(_has_address, value))


def _with_headers(send: Send, *, is_file: bool) -> Send:
    """Add the headers to each answer; photos are not kept in the cache of the browser."""

    async def send_more(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = (*_HEADERS, (b"cache-control", b"private, no-store")) if is_file else _HEADERS
            names = {name for name, _ in own}
            kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in names]
            message = {**message, "headers": [*kept, *own]}
        await send(message)

    return send_more


def _with_our_sentence(send: Send) -> Send:
    """Answer a full queue in our words. gradio's page has a fixed sentence for 503, and shows what comes with 429."""
    is_full = False

    async def send_ours(message: MutableMapping[str, Any]) -> None:
        nonlocal is_full
        if message["type"] == "http.response.start" and message["status"] == 503:
            is_full = True
            await _refuse(send, 429, json.dumps({"detail": _BUSY}), kind="application/json")
        elif not is_full:
            await send(message)

    return send_ours


async def _refuse(send: Send, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", kind.encode()), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
