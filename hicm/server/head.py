"""HEAD requests: the headers of the GET of the same address, without its body."""

from starlette.types import ASGIApp, Receive, Scope, Send

HEAD = "hicm.head"  # in the scope of a HEAD request


class Head:
    """ASGI middleware: routes see a HEAD request as a GET; the HTTP server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", HEAD: True}
        await self._app(scope, receive, send)
