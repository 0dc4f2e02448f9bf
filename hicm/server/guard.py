"""Which requests are answered at all, and the security headers of every response.

A page of another site can make a browser send requests here: by a form or script (checked by Origin and
Sec-Fetch-Site), or under a host name of its own that resolves to this machine (DNS rebinding, checked by Host).  No
response allows other sites to read it.
"""

import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hicm.server.settings import Settings

SAFE = ("GET", "HEAD", "OPTIONS")
LARGEST = 8 << 20  # bytes of a body that is not a video
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                               "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._cookie = f"hicm_{settings.port}"
        self._secret = hashlib.sha256(settings.token.encode()).hexdigest()  # of the cookie: not the token itself

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if message["status"] >= 400 and scope["method"] not in SAFE:
                    headers["Connection"] = "close"  # the rest of the body is not wanted
            await send(message)

        headers = Headers(scope=scope)
        answer = self._refusal(scope["method"], scope["path"], headers) or self._sign_in(scope, headers)
        try:
            await (answer or self._app)(scope, receive, send_guarded)
        except Exception as error:  # raised again, so that it is logged
            if not begun:
                failed = _no(scope["path"], 500, f"an error in hicm ({type(error).__name__}); the server's output has "
                                                 "more")
                await failed(scope, receive, send_guarded)
            raise

    def _refusal(self, method: str, path: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _no(path, 421, f"this server does not answer to the name {host[:100]!r}; open it by its address, or "
                                  "start it with --host NAME")
        if method not in SAFE and not _same_site(headers, host):
            return _no(path, 403, "this request comes from a page of another site")
        if path != "/api/jobs" and int(headers.get("content-length", "0")) > LARGEST:
            return _no(path, 413, f"the body is larger than {LARGEST} bytes")
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server: an address, or a name that no other site can own."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", host):
            return False
        if is_loopback(self._settings.host):
            return is_loopback(name)
        own = socket.gethostname().lower()
        return is_loopback(name) or _is_address(name) or name in (self._settings.host.lower(), own, f"{own}.local")

    def _sign_in(self, scope: Scope, headers: Headers) -> Response | None:
        """None for a request with the token; an address with ``?token=`` sets a cookie and redirects."""
        if not self._settings.token:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = query.pop("token", [""])[0]
        if given and scope["method"] == "GET" and self._is_token(given):
            rest = urlencode(query, doseq=True)
            answer = RedirectResponse("/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(self._cookie, self._secret, max_age=30 * 86400, httponly=True, samesite="lax")
            return answer
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return None
        if hmac.compare_digest(_cookies(headers).get(self._cookie, ""), self._secret):
            return None
        return _no(scope["path"], 401, "this server requires a token: open the address that hicm serve has printed, or "
                                       "send the header 'Authorization: Bearer TOKEN'")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._settings.token.encode())


def is_loopback(name: str) -> bool:
    """Whether a host name or address stays on this machine.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if name.lower() == "localhost":
        return True
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_site(headers: Headers, host: str) -> bool:
    """Whether a request comes from our own page or from a program: browsers say so in its headers."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _cookies(headers: Headers) -> Mapping[str, str]:
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if value.isascii()}


def _no(path: str, status: int, detail: str) -> Response:
    """A refusal, for programs as the API words all of them."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    if path.startswith("/api/"):
        return JSONResponse({"detail": detail}, status, headers)
    return PlainTextResponse(f"{detail}\n", status, headers)
