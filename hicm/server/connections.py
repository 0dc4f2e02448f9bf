"""Connections on which no request comes are closed: there is a limit on how many there are."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def closing_after(seconds: float) -> type[H11Protocol]:
    """What speaks HTTP on a connection; one closes on which no request is answered or complete for so long."""

    class Connection(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(seconds, self._look, None)

        def _look(self, last: Any) -> None:
            """Close unless there is a request now, or was one since the last look; uvicorn waits for ever."""
            if self.transport.is_closing():
                return
            if self.cycle is last and (last is None or last.response_complete):
                self.transport.close()
            else:
                self.loop.call_later(seconds, self._look, self.cycle)

    return Connection
