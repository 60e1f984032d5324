"""The lab's gate: who may ask, from where, and what the browser may load.

The server listens on loopback only. Other pages in the same browser can still send requests there, so each
launch has a token (in the address once, then in a cookie), and hosts and origins come from fixed lists.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, RedirectResponse, Response

from glassgpt.language import LANGUAGES, N_, _, answering_in, language

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 16 << 20
"""Bytes of a request, at most."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
POLICY_NAME = b"content-security-policy"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
REFUSED = {
    "host": N_("this host is unknown. Open the address that `glassgpt lab` printed."),
    "origin": N_("requests from other pages are refused."),
    "token": N_("the token is missing. Open the address that `glassgpt lab` printed."),
    "body": N_("this request is too large, or its length is missing."),
}


class Gate:
    """ASGI middleware that checks host, origin, token and size, and adds the headers of security."""

    def __init__(self, app: App, *, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
        self.origins = frozenset(f"http://{host}" for host in self.hosts)
        self.cookie = f"glassgpt-lab-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSocket is served
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _merged(message.get("headers", ()))
            await send(message)

        with answering_in(_language_of(scope)):
            answer = self._refusal(scope) or self._welcome(scope)
            await (answer or self.app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that may not pass."""
        headers = _single(scope["headers"])
        reason, status = "", 403
        if headers.get(b"host", b"").decode("latin-1") not in self.hosts:
            reason, status = "host", 400
        elif b"origin" in headers and headers[b"origin"].decode("latin-1") not in self.origins:
            reason = "origin"
        elif scope["method"] not in ("GET", "HEAD") and b"origin" not in headers:
            reason = "origin"  # browsers always send it with POST
        elif not (self._has_cookie(headers) or self._is_entry(scope)):
            reason = "token"
        elif not _is_small(scope["method"], headers):
            reason, status = "body", 413
        return JSONResponse({"error": _(REFUSED[reason])}, status) if reason else None

    def _has_cookie(self, headers: dict[bytes, bytes]) -> bool:
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return False
        return self.cookie in cookies and self._is_token(cookies[self.cookie].value)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())

    def _is_entry(self, scope: Scope) -> bool:
        """True for the page's address with the token."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return scope["path"] == "/" and scope["method"] == "GET" and self._is_token(given[0])

    def _welcome(self, scope: Scope) -> Response | None:
        """Return the answer that moves the token from the address into a cookie."""
        if not self._is_entry(scope):
            return None
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
        return answer


def _language_of(scope: Scope) -> str:
    """Return the language that a page asks for, or that of the server."""
    asked = _single(scope["headers"]).get(b"accept-language", b"").decode("latin-1")[:2]
    return asked if asked in LANGUAGES else language()


def _single(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name; of one that comes twice, nothing, so that no check reads another value."""
    names = [name.lower() for name, _ in headers]
    return {name.lower(): value for name, value in headers if names.count(name.lower()) == 1}


def _is_small(method: str, headers: dict[bytes, bytes]) -> bool:
    """True for a request whose length is known and small."""
    if b"transfer-encoding" in headers:
        return False
    length = headers.get(b"content-length", b"" if method not in ("GET", "HEAD") else b"0")
    return length.isdigit() and int(length) <= MAX_BODY


def _merged(headers: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with those of security; a page may bring a policy of its own."""
    ours = {name.lower().encode(): value.encode() for name, value in HEADERS.items()}
    if any(name.lower() == POLICY_NAME for name, _ in headers):
        del ours[POLICY_NAME]
    return [(name, value) for name, value in headers if name.lower() not in ours] + [*ours.items()]
