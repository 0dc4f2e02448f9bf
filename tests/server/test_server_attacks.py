"""Bad requests: nothing of them is left behind, nothing hangs, and the next request is answered."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from urllib.parse import quote

import av
import numpy as np
import pytest
from fastapi import HTTPException

from hicm.errors import UserError
from hicm.server import uploads
from hicm.server.guard import Guard
from hicm.server.jobs import Jobs, clean_name
from hicm.server.probe import probe
from hicm.server.processes import start_python
from hicm.server.settings import Settings, parse_size
from hicm.video.reader import VideoReader
from tests.server.serving import serving, until
from tests.server.tiny_worker import marked

BEGUN = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
PLAYLIST = ("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path}\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(("kind", "status", "said"), [
    ("text", 415, "talk.mp4: not a video, or incomplete; expected MP4, MOV"),
    ("half", 415, "talk.mp4: "),
    ("hls", 415, "talk.mp4: not a video, or incomplete"),
    ("concat", 415, "talk.mp4: not a video, or incomplete"),
    ("sound", 415, "talk.mp4: has no video track, only sound"),
    ("empty", 400, "the request has no body"),
])
def test_what_is_no_video_is_refused(server, video, tmp_path, kind, status, said):
    """By its content: a playlist would make the decoder open other files."""
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(video)
    body = {"text": b"no video\n" * 100, "half": video[:len(video) // 3], "empty": b"",
            "hls": PLAYLIST.format(path=secret).encode(), "concat": b"ffconcat version 1.0\nfile ../../secret.mp4\n",
            "sound": _sound(tmp_path)}[kind]
    answer = server.ask("POST", "/api/jobs?name=../talk.mp4", body)
    assert answer.status == status and answer.json["detail"].startswith(said)
    assert str(server.data) not in answer.json["detail"]


def _sound(folder: Path) -> bytes:
    with av.open(str(folder / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
    return (folder / "sound.mkv").read_bytes()


def test_a_playlist_opens_no_other_file(tmp_path, video):
    (tmp_path / "secret.mp4").write_bytes(video)
    playlist = tmp_path / "video"
    playlist.write_text("ffconcat version 1.0\nfile secret.mp4\n")
    with VideoReader(playlist) as reader:
        assert len(list(reader.frames())) == 2, "the decoder itself would"
    with pytest.raises(UserError, match="not a video"):
        probe(playlist)


def test_a_decoder_that_crashes_or_hangs_is_contained(tmp_path, monkeypatch):
    (tmp_path / "crash.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "hang.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    for module, limit, said in [("crash", 60.0, "the decoder crashed"),  # however slow the machine is
                                ("hang", 0.5, "returned no picture within 0.5 seconds")]:
        found = uploads.Uploads(Jobs(tmp_path / "data", Settings.keep), Settings(probe=limit))
        monkeypatch.setattr(uploads, "start_python", lambda _, *rest, m=module, **more: start_python(m, *rest, **more))
        with pytest.raises(HTTPException, match=f"talk.mp4: .*{said}") as raised:
            asyncio.run(found._probe(tmp_path, "talk.mp4"))
        assert raised.value.status_code == 415


def test_too_large(server):
    """By the stated length before anything is read; without one, in the middle."""
    with server.raw() as connection:
        connection.sendall(b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(10000), b""))
        assert answer.startswith(b"HTTP/1.1 413 ") and b"larger than 1 MB, the limit of this server" in answer
    sent = 0
    with server.raw() as connection:
        connection.sendall(b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(OSError):
            while sent < 100 << 20:
                connection.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
                sent += 1 << 16
    assert 1 << 20 <= sent < 20 << 20


@pytest.mark.parametrize("name", ["../../x.mp4", "..\\..\\x.mp4", "/etc/x.mp4", "x.mp4\0.txt",
                                  "a\r\nSet-Cookie: b=c.mp4", "<img src=x onerror=alert(1)>.mp4", "\u202egpm.exe",
                                  "..", ".", "", "x" * 900,
                                  "\ud83c\udf73.mp4".encode("utf-16", "surrogatepass").decode("utf-16")])
def test_a_name_is_text_only(server, video, name):
    job_id = server.submit(video, quote(name))
    job = server.wait(job_id)
    assert job["state"] == "done" and job["name"] == clean_name(name)
    assert not set("/\\\0\r\n\u202e") & set(job["name"].replace("</", "")) and 0 < len(job["name"]) <= 200
    assert {path.split("/")[1] for path in server.files()} == {"ID"} and job_id in {
        path.name for path in (server.data / "jobs").iterdir()}
    for path in ("video", "result", "result?format=fcpxml"):
        answer = server.ask("GET", f"/api/jobs/{job_id}/{path}")
        assert answer.status == 200 and "set-cookie" not in answer.headers


@pytest.mark.parametrize("job_id", ["..", "../..", "..%2f..%2fuploads", "%2e%2e%2f", "0" * 31, "0" * 33, "A" * 32,
                                    "0" * 31 + "%00", "0" * 32 + "%0a", "*", ".lock", "\u0660".encode().hex() * 8])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_malformed_ids(server, job_id, method):
    for ending in ("", "/result", "/video", "/cancel"):
        assert server.ask(method, f"/api/jobs/{job_id}{ending}").status in (404, 405, 422)
    for path in ("/assets/../app.py", "/assets/..%2fapp.py", "/assets/%2e%2e/app.py", "/jobs/../../etc/passwd"):
        assert server.ask("GET", path).status == 404


def test_a_dropped_connection(server, video):
    with server.raw() as connection:
        connection.sendall(BEGUN + video[:500])
        until(lambda: server.files() == {"uploads/ID/video"})
    until(lambda: not server.left())


def test_uploads_at_once(server, video):
    """Two are two jobs, whatever their order; beyond the limit they are refused."""
    head = f"Host: localhost\r\nContent-Length: {len(video)}\r\nConnection: close\r\n\r\n".encode()
    begun = [server.raw() for _ in range(4)]
    for number, connection in enumerate(begun):
        connection.sendall(f"POST /api/jobs?name={number}.mp4 HTTP/1.1\r\n".encode() + head + video[:500])
    until(lambda: len(list((server.data / "uploads").iterdir())) == 4)
    answer = server.ask("POST", "/api/jobs", video)
    assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    for connection in begun[:2][::-1]:
        connection.sendall(video[500:])
        assert connection.recv(10000).startswith(b"HTTP/1.1 201 ")
    for connection in begun:
        connection.close()
    until(lambda: not list((server.data / "uploads").iterdir()))
    jobs = server.ask("GET", "/api/jobs").json
    assert {job["name"] for job in jobs} == {"0.mp4", "1.mp4"}
    for job in jobs:
        assert server.wait(job["id"])["state"] == "done"
        assert server.ask("GET", f"/api/jobs/{job['id']}/video").body == video


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://127.0.0.1:1"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
    {"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example"}, {"Host": "localhost@evil.example"},
    {"Host": "192.168.0.1"}, {"Host": "[::2]"}, {"Host": "["}, {"Host": ""}])
def test_requests_of_other_sites_are_refused(server, video, headers):
    status = 421 if "Host" in headers else 403
    assert server.ask("POST", "/api/jobs", video, **headers).status == status
    assert server.ask("DELETE", f"/api/jobs/{'0' * 32}", **headers).status == status
    if "Host" in headers:
        assert server.ask("GET", "/api/jobs", **headers).status == status
    answer = server.ask("OPTIONS", "/api/jobs", **headers, Access_Control_Request_Method="POST")
    assert not {name for name in answer.headers if name.startswith("access-control-")}


def test_every_refusal_says_why_in_one_form(tmp_path):
    """Also those of the framework, which repeat nothing of what was sent."""
    with serving(tmp_path / "data", token="secret-word") as server:
        for method, path, status, headers in [
                ("GET", "/api/jobs", 401, {}), ("GET", "/api/jobs", 421, {"Host": "evil.example"}),
                ("POST", "/api/jobs", 403, {"Origin": "null"}), ("GET", "/api/jobs/" + "secret" * 100, 422, {}),
                ("GET", "/api/jobs?limit=secret", 422, {}), ("POST", f"/api/jobs?name={'secret' * 200}", 422, {}),
                ("GET", "/api/nowhere", 404, {}), ("PUT", "/api/jobs", 405, {})]:
            if status not in (401, 421, 403):
                headers = {"Authorization": "Bearer secret-word"}
            answer = server.ask(method, path, **headers)
            assert answer.status == status and isinstance(answer.json["detail"], str), path
            assert b"secret" not in answer.body
        described = server.ask("GET", "/openapi.json", Authorization="Bearer secret-word").body
        assert b"HTTPValidationError" not in described


def test_an_error_in_hicm_is_answered_in_the_same_form_and_raised():
    """And with the security headers of every answer; nothing of the error but its kind is told."""
    async def broken(scope, receive, send):
        raise ZeroDivisionError("secret")

    async def ask(path: str) -> list[dict]:
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        with pytest.raises(ZeroDivisionError):
            await Guard(broken, Settings())({"type": "http", "method": "GET", "path": path, "query_string": b"",
                                             "headers": [(b"host", b"localhost")]}, None, send)
        return sent

    start, body = asyncio.run(ask("/api/jobs"))
    assert start["status"] == 500 and (b"x-content-type-options", b"nosniff") in start["headers"]
    assert json.loads(body["body"]) == {"detail": "an error in hicm (ZeroDivisionError); the server's output has more"}
    assert asyncio.run(ask("/jobs"))[1]["body"].startswith(b"an error in hicm (ZeroDivisionError)")


def test_our_own_page_may_ask(server, video):
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}", f"[::1]:{server.port}", "localhost"):
        answer = server.ask("DELETE", f"/api/jobs/{'0' * 32}", Host=host, Origin=f"http://{host}",
                            Sec_Fetch_Site="same-origin")
        assert answer.status == 404


def test_headers_of_every_answer(server):
    for method, path in [("GET", "/"), ("GET", "/docs"), ("GET", "/assets/page.js"), ("GET", "/nowhere"),
                         ("GET", "/api/jobs"), ("GET", "/openapi.json"), ("PUT", "/api/jobs"),
                         ("GET", f"/api/jobs/{'0' * 32}")]:
        headers = server.ask(method, path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert "server" not in headers
    assert server.ask("GET", "/assets/page.js").headers["content-type"] == "text/javascript; charset=utf-8"


def test_huge_requests(server):
    for name, value in [("X", "x" * 200_000), ("Cookie", "a=b; " * 40_000)]:
        with server.raw() as connection:
            try:
                connection.sendall(f"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\n\r\n".encode())
                assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
            except ConnectionError:
                pass  # refused before all of it was sent
    with server.raw() as connection:
        connection.sendall(f"POST /api/jobs/{'0' * 32}/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                           "application/json\r\nContent-Length: 99999999999\r\n\r\n[[[[".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert server.ask("POST", f"/api/jobs?name={'x' * 2000}", b"x" * 1000).status == 422


def test_a_token(tmp_path, video):
    with serving(tmp_path / "data", token="very&secret=1%") as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"hicm_{server.port}=1"},
                        {"Cookie": f"hicm_{server.port}=\u00e4".encode().decode("latin-1")}):
            for method, path in [("GET", "/"), ("GET", "/api/jobs"), ("POST", "/api/jobs"), ("GET", "/assets/page.js"),
                                 ("GET", "/?token=wrong"), ("GET", "/openapi.json")]:
                assert server.ask(method, path, **headers).status == 401
        bearer = {"Authorization": "Bearer very&secret=1%"}
        assert server.ask("POST", "/api/jobs", video, **bearer).status == 201
        answer = server.ask("GET", f"/docs?token={quote('very&secret=1%')}")
        assert (answer.status, answer.headers["location"]) == (303, "/docs")
        elsewhere = server.ask("GET", f"///evil.example?token={quote('very&secret=1%')}")
        assert elsewhere.headers["location"] == "/evil.example"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "secret" not in cookie
        assert server.ask("GET", "/docs", Cookie=cookie.partition(";")[0]).status == 200


def test_a_full_disk_a_full_queue_and_a_stalled_connection(tmp_path, video):
    large = marked(video, "").ljust(40_000, b"\0")
    with serving(tmp_path / "data", largest_file=30_000, queue=1, idle=0.2) as server:
        answer = server.ask("POST", "/api/jobs", large)
        assert answer.status == 507 and "disk is full" in answer.json["detail"]
        with server.raw() as connection:
            connection.sendall(BEGUN + video[:1000])
            assert connection.recv(10000).startswith(b"HTTP/1.1 408 ")
        assert not server.left()
        running = server.submit(marked(video, "wait"))
        server.wait(running, "running")
        server.submit(video)
        assert "1 jobs are waiting" in server.ask("POST", "/api/jobs", video).json["detail"]


def test_an_upload_that_is_too_slow(tmp_path, video):
    """It is dropped although data keep coming; its place is free again; a steady one of the least rate stays."""
    with serving(tmp_path / "data", uploads=1, rate=100, rate_period=0.5) as server, server.raw() as slow:
        slow.sendall(BEGUN)
        begun = time.monotonic()
        slow.settimeout(0.02)
        answer = b""
        while not answer and time.monotonic() - begun < 10:
            slow.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(10000)
        slow.settimeout(5)
        answer += slow.recv(10000)
        assert answer.startswith(b"HTTP/1.1 408 ") and b"less than 100 bytes per second for " in answer
        assert 0.4 < time.monotonic() - begun < 5
        until(lambda: not server.left())
        with server.raw() as steady:
            steady.sendall(BEGUN.replace(b"100000", str(len(video)).encode()))
            for part in range(0, 2000, 100):
                steady.sendall(video[part:part + 100])
                time.sleep(0.05)
            steady.sendall(video[2000:])
            assert steady.recv(100).startswith(b"HTTP/1.1 201 ")


def test_connections_that_ask_nothing(tmp_path, video):
    """They are closed, so that nobody can hold all there are; those in use stay."""
    with serving(tmp_path / "data", idle=2) as server, server.raw() as upload:
        upload.sendall(f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(video)}\r\n\r\n".encode())
        until(lambda: server.files())
        begun = [server.raw() for _ in range(270)]
        for connection in begun[::2]:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert server.ask("GET", "/").status == 503
        for part in range(0, 250, 10):
            upload.sendall(video[part:part + 10])
            time.sleep(0.1)
        for connection in begun:
            assert connection.recv(100) == b""
            connection.close()
        upload.sendall(video[250:])
        assert upload.recv(100).startswith(b"HTTP/1.1 201 ")
        log = server.data.with_name("server.log").read_text()
        assert "concurrency" not in log, "what clients do fills no log"


@pytest.mark.parametrize("name", [
    "\U0001f469\u200d\U0001f373 cooks.mp4",  # a woman cook: two emoji and a joiner
    "\u2764\ufe0f.mp4",  # a red heart: a variation selector
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.mp4",  # the flag of England: tags
    "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.mp4",  # Persian, with a non-joiner
    "\u0915\u094d\u200d\u0937.mp4"])  # Devanagari, with a joiner
def test_names_keep_what_scripts_need(name):
    assert clean_name(f"a folder/{name}") == name


@pytest.mark.parametrize(("name", "cleaned"), [
    ("\u202egpm.exe", "gpm.exe"), ("a\u2067b\u2069.mp4", "a b .mp4"), ("a\u200e\u061cb.mp4", "a b.mp4"),
    ("a\0\x1b[2J.mp4", "a [2J.mp4"), ("a\u2028b.mp4", "a b.mp4"), ("\ud800.mp4", ".mp4"),
    ("\u200d\ufe0f", "video"), ("\u200b \u2060", "video"), ("../..\\x", "x")])
def test_names_lose_what_is_unsafe(name, cleaned):
    """Bidi controls, control characters, path separators; and a name that nobody can see is none."""
    assert clean_name(name) == cleaned


def test_sizes():
    assert [parse_size(text, "--max-size") for text in ("1", "2k", "500M", "4G", "1.5GiB", "4 gb")] == [
        1, 2048, 500 << 20, 4 << 30, 3 << 29, 4 << 30]
    for text in ("", "0", "-1", "4X", "1e9", "G", "nan", "inf"):
        with pytest.raises(ValueError, match=f"--max-size {text}: expected a size such as 500M or 4G"):
            parse_size(text, "--max-size")
