"""A local server that speaks enough of the Hugging Face hub's protocol to be downloaded from, and to misbehave."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "1" * 40
LARGE = (".pth", ".safetensors", ".pkl", ".bin", ".pt")  # kept as LFS files: their ETag is a sha256


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def start(self) -> int:
        """First byte asked for."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])


@dataclass
class HubServer:
    """Serves ``files``: '<owner>/<name>/<path>' (models), 'datasets/<owner>/<name>/<path>', or '/<url path>' plainly.

    Misbehaviour is by the same keys.  ``refuse``: status and X-Error-Code; ``drop``: bytes of the answer after which
    the connection ends, for the next GETs in turn (None: a proper answer, a status: that refusal); ``damage``: bytes
    sent in place of the file's; ``stall``: bytes of the answer after which nothing comes any more.
    """

    files: dict[str, bytes]
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    drop: dict[str, list[int | tuple[int] | None]] = field(default_factory=dict)
    damage: dict[str, bytes] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    commit: str = COMMIT
    sizeless: bool = False  # HEAD tells no length
    cdn: bool = False  # large files are answered with a redirect to another host
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def gets(self, ending: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "GET" and asked.path.endswith(ending)]


class Handler(BaseHTTPRequestHandler):
    hub: HubServer

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        url = unquote(urlsplit(self.path).path)
        self.hub.asked.append(Asked(self.command, url, {name.title(): value for name, value in self.headers.items()}))
        with contextlib.suppress(OSError):  # who asked has gone
            if url.startswith("/api/models/"):
                return self.api(url.removeprefix("/api/models/"))
            if "/resolve/" in url:
                repository, _, rest = url[1:].partition("/resolve/")
                return self.file(f"{repository}/{rest.partition('/')[2]}", True)
            return self.file(url.removeprefix("/cdn/") if url.startswith("/cdn/") else url, False)

    def file(self, key: str, hub: bool) -> None:
        if key in self.hub.refuse:
            status, code = self.hub.refuse[key]
            return self.refuse(status, code)
        if key not in self.hub.files:
            return self.refuse(404, "EntryNotFound" if hub else "")
        content = self.hub.files[key]
        tag = etag(key, content)
        if hub and self.hub.cdn and key.endswith(LARGE):
            host = f"http://localhost:{self.server.server_address[1]}"
            return self.send(302, {"Location": f"{host}/cdn/{key}", "X-Repo-Commit": self.hub.commit,
                                   "X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(content))})
        headers = {"ETag": f'"{tag}"', "Accept-Ranges": "bytes"} | ({"X-Repo-Commit": self.hub.commit} if hub else {})
        if self.command == "HEAD":
            return self.send(200, headers | ({} if self.hub.sizeless else {"Content-Length": str(len(content))}))
        body, start = self.hub.damage.get(key, content), self.hub.asked[-1].start
        planned = self.hub.drop.get(key, [])
        after = planned.pop(0) if planned else None
        if isinstance(after, tuple):
            return self.refuse(after[0], "")
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        rest = body[start:]
        stall = self.hub.stall.get(key)
        self.send(206 if start else 200, headers | {"Content-Length": str(len(rest))},
                  rest[:after if stall is None else stall])
        if stall is not None:
            self.hub.ended.wait(60)
        if after is not None:
            self.close_connection = True

    def api(self, path: str) -> None:
        repository = "/".join(path.split("/")[:2])
        own = {key.removeprefix(f"{repository}/"): content for key, content in self.hub.files.items()
               if key.startswith(f"{repository}/")}
        if not own:
            return self.refuse(404, "RepoNotFound")
        if repository in self.hub.refuse:
            return self.refuse(*self.hub.refuse[repository])
        if "/tree/" in path:
            return self.json([{"type": "file", "path": name, "oid": git(content), "size": len(content),
                               **({"lfs": lfs(content, "oid")} if name.endswith(LARGE) else {})}
                              for name, content in own.items()])
        return self.json({"id": repository, "modelId": repository, "sha": self.hub.commit, "private": False, "tags": [],
                          "siblings": [{"rfilename": name, "size": len(content), "blobId": git(content),
                                        **({"lfs": lfs(content, "sha256")} if name.endswith(LARGE) else {})}
                                       for name, content in own.items()]})

    def json(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send(200, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body)

    def refuse(self, status: int, code: str) -> None:
        self.send(status, {"Content-Length": "0"} | ({"X-Error-Code": code} if code else {}))

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def etag(key: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if key.endswith(LARGE) else git(content)


def lfs(content: bytes, name: str) -> dict[str, object]:
    return {name: hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}


@contextlib.contextmanager
def serve_hub(files: dict[str, bytes]) -> Iterator[HubServer]:
    """A running server of these files."""
    hub = HubServer(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        server.server_close()
