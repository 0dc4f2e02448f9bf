"""A local server that speaks enough of OpenAI's protocol to answer questions, and to misbehave."""

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server does with a request."""

    text: Any = None  # content of the answer
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    stall: float = 0.0  # seconds before anything is sent
    body: bytes | None = None  # sent unchanged instead of an answer; empty: the connection is closed silently
    finish: str = "stop"  # finish_reason
    message: dict[str, Any] = field(default_factory=dict)  # further fields of the message
    drip: float = 0.0  # seconds between the bytes of the body


@dataclass
class Asked:
    """One request."""

    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def question(self) -> str:
        """The first message of the user: the member texts."""
        return next(message["content"] for message in self.body["messages"] if message["role"] == "user")


def sentence(asked: Asked) -> Reply:
    """A valid answer that depends only on the question."""
    return Reply(f"Do the thing called {hashlib.sha256(asked.question.encode()).hexdigest()[:8]}.")


class ChatServer:
    """``behave`` decides how to reply to a request; ``asked`` holds all requests."""

    def __init__(self, behave: Callable[[Asked], Reply] = sentence) -> None:
        self.behave = behave
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = Asked(body, {name.title(): value for name, value in self.headers.items()})
                with outer.lock:
                    outer.asked.append(asked)
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                    reply = outer.behave(asked)
                time.sleep(reply.stall)
                with outer.lock:
                    outer.at_once -= 1
                with contextlib.suppress(OSError):  # the client has gone
                    self.reply(reply, asked)

            def reply(self, reply: Reply, asked: Asked) -> None:
                body = reply.body
                if body is None:
                    content = {"id": "1", "object": "chat.completion", "created": 1, "model": asked.body["model"],
                               "choices": [{"index": 0, "finish_reason": reply.finish, "message": {
                                   "role": "assistant", "content": reply.text, **reply.message}}]}
                    if reply.status != 200:
                        content = {"error": {"message": reply.text or "made to fail"}}
                    body = json.dumps(content).encode()
                if not body:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)),
                                    **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for byte in body if reply.drip else ():
                    self.wfile.write(bytes([byte]))
                    time.sleep(reply.drip)
                self.wfile.write(b"" if reply.drip else body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def questions(self) -> list[str]:
        return [asked.question for asked in self.asked]


@contextlib.contextmanager
def serve(behave: Callable[[Asked], Reply] = sentence) -> Iterator[ChatServer]:
    """A running server."""
    server = ChatServer(behave)
    thread = threading.Thread(target=server._server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server._server.shutdown()
        server._server.server_close()
