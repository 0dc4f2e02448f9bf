"""Corrected captions saved over HTTP: who may, what is accepted, and what of it comes back in every format."""

import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from hicm.server.jobs import Jobs
from hicm.server.settings import Settings
from tests.server.serving import Answer, Server, serving, until
from tests.server.tiny_worker import marked
from tests.viewer.pages import views_in
from tests.viewer.views import MARKUP

EVENTS = [{"start": 0.5, "end": 2.25, "sentence": "stir & wait", "score": 0.25, "level": 1},
          {"start": 0, "end": 0.5, "sentence": "chop"}]
LATER = {"events": [{"start": 0, "end": 9, "sentence": "a"}]}


@pytest.fixture
def done(server: Server, video: bytes) -> str:
    """The address of the result of a job that is done."""
    job_id = server.submit(video)
    assert server.wait(job_id)["state"] == "done"
    return f"/api/jobs/{job_id}/result"


def save(server: Server, path: str, content: Any, etag: str = "*", **headers: str) -> Answer:
    body = content if isinstance(content, bytes | str) else json.dumps(content)
    return server.ask("PUT", path, body, If_Match=etag, **headers)


def test_every_format_is_made_from_what_was_saved(server, done):
    before = server.ask("GET", done)
    answer = save(server, done, {"events": EVENTS, "made_by": {"corrected": "never"}}, before.headers["etag"])
    job = server.job(done.split("/")[3])
    assert answer.status == 200 and answer.json == job
    assert (job["events"], job["state"]) == (2, "done") and job["ended"] < job["corrected"] < job["removed"]
    now = server.ask("GET", done)
    assert now.headers["etag"] == answer.headers["etag"] != before.headers["etag"]
    found, first = now.json, before.json
    assert found["events"] == [EVENTS[1], EVENTS[0]], "in order of time"
    assert {**found, "events": [], "made_by": {}} == {**first, "events": [], "made_by": {}}
    record = found["made_by"]["corrected"]
    assert (record["by"], record["saves"], record["first"]) == ("hand", 1, record["last"])
    assert before.headers["etag"] == f'"{record["original"]}"'
    assert server.ask("GET", f"{done}?format=srt").body.decode() == (
        "1\n00:00:00,000 --> 00:00:00,500\nchop\n\n2\n00:00:00,500 --> 00:00:02,250\nstir & wait\n\n")
    [shown] = views_in(server.ask("GET", f"{done}?format=html").body.decode())
    assert [one["text"] for one in shown["lanes"][0]["events"]] == ["chop", "stir & wait"] and "save" not in shown
    for text in ("csv", "vtt", "elan", "activitynet"):
        assert b"stir" in server.ask("GET", f"{done}?format={text}").body
    original = server.ask("GET", f"{done}?version=original")
    assert (original.body, original.headers["etag"]) == (before.body, before.headers["etag"])
    assert b"stir" not in server.ask("GET", f"{done}?version=original&format=srt").body
    assert server.ask("GET", f"{done}?version=mine").status == 422


def test_a_save_is_made_only_to_what_was_corrected(server, done):
    first = server.ask("GET", done).headers["etag"]
    answer = server.ask("PUT", done, json.dumps({"events": []}))
    assert answer.status == 428 and "If-Match" in answer.json["detail"]
    second = save(server, done, {"events": EVENTS}, f'"other", {first}')
    assert second.status == 200
    for stale in (first, f"W/{second.headers['etag']}", second.headers["etag"].strip('"'), "",
                  server.ask("GET", f"{done}?format=srt").headers["etag"]):
        answer = save(server, done, {"events": []}, stale)
        assert answer.status == 412 and answer.json["detail"].startswith("somebody else has saved since"), stale
    assert len(server.ask("GET", done).json["events"]) == 2
    again = save(server, done, {"events": EVENTS}, second.headers["etag"])
    assert again.headers["etag"] != second.headers["etag"], "the same events are another save"
    assert server.ask("GET", done).json["made_by"]["corrected"]["saves"] == 2
    assert save(server, done, {"events": []}, "*").json["events"] == 0


def test_of_many_at_once_one_is_saved(server, done):
    etag = server.ask("GET", done).headers["etag"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: save(server, done, {"events": [
            {"start": 0, "end": 1, "sentence": f"by {number}"}]}, etag).status, range(8)))
    assert sorted(found) == [200] + [412] * 7
    assert server.ask("GET", done).json["events"][0]["sentence"] == f"by {found.index(200)}"


@pytest.mark.parametrize(("body", "status", "said"), [
    ("", 400, "the body is not valid JSON (Expecting value"),
    ("{", 400, "the body is not valid JSON"),
    (b'{"events": "\xff"}', 400, "the body is not JSON in UTF-8"),
    ("[" * 100_000, 400, "the body is not JSON in UTF-8, or it is nested too deeply"),
    ("[]", 422, "expected an object with the list 'events'"),
    ({"speech": []}, 422, "expected an object with the list 'events'"),
    ({"events": {"start": 0}}, 422, "events: {'start': 0}, expected a list"),
    ({"events": ["a"]}, 422, "event 1: 'a', expected an object"),
    ({"events": [{**EVENTS[0]}, {"start": 1, "end": 0, "sentence": ""}]}, 422, "event 2: times 1.0 to 0.0, expected"),
    ({"events": [{"start": -1, "end": 0, "sentence": ""}]}, 422, "event 1: times -1.0 to 0.0, expected 0 <= start"),
    ({"events": [{"start": 0, "end": 1}]}, 422, "event 1: no key 'sentence'"),
    ({"events": [{"start": "0", "end": 1, "sentence": ""}]}, 422, "event 1: '0', expected a number"),
    ({"events": [{"start": True, "end": 1, "sentence": ""}]}, 422, "event 1: True, expected a number"),
    ({"events": [{"start": 0, "end": None, "sentence": ""}]}, 422, "event 1: times 0.0 to None, expected"),
    ({"events": [{"start": 0, "end": float("inf"), "sentence": ""}]}, 422, "event 1: inf, expected a number"),
    ({"events": [{"start": 0, "end": 10 ** 400, "sentence": ""}]}, 422, "event 1: 1000"),
    ({"events": [{"start": 0, "end": 1, "sentence": 5}]}, 422, "event 1: 5, expected text"),
    ({"events": [{"start": 0, "end": 1, "sentence": "", "level": 0.5}]}, 422, "event 1: 0.5, expected a whole number"),
    ({"events": [{"start": 0, "end": 1, "sentence": "", "level": 2 ** 53}]}, 422, "event 1: 9007199254740992, "),
    ('{"events": [{"start": 1' + "0" * 5000 + "}]}", 400, "the body is not JSON in UTF-8, or it is nested too deeply, "
     "or has a number of thousands of digits"),
    (LATER, 422, "event 1: ends at 9 s, but the video ends at 2 s"),
    ({"events": [], "speech": [{"start": 0, "end": 9, "text": "a"}]}, 422, "speech 1: ends at 9 s"),
    ({"events": [], "speech": [{"start": 0, "end": 1}]}, 422, "speech 1: no key 'text'"),
    (b'{"events": []}' + b" " * (8 << 20), 413, "the body is larger than 8388608 bytes"),
])
def test_bad_content_is_refused_and_changes_nothing(server, done, body, status, said):
    before = server.ask("GET", done)
    with contextlib.suppress(ConnectionError):  # refused before all of it was sent
        answer = save(server, done, body)
        assert answer.status == status and answer.json["detail"].startswith(said), answer
    after = server.ask("GET", done)
    assert (after.body, after.headers["etag"]) == (before.body, before.headers["etag"])
    assert not any("corrected" in name for name in server.files())


def test_a_body_without_a_length_is_limited_too(server, done):
    with server.raw() as connection:
        connection.sendall(f"PUT {done} HTTP/1.1\r\nHost: localhost\r\nIf-Match: *\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n".encode())
        with pytest.raises(OSError):
            for _ in range(1600):  # 100 MB
                connection.sendall(b"10000\r\n" + b" " * (1 << 16) + b"\r\n")
    assert server.ask("GET", done).status == 200


def test_times_that_the_captioner_gave_may_stay(server, done):
    """Though an event ends after its video: only what was changed is checked."""
    path = server.data / "jobs" / done.split("/")[3] / "captions.json"
    content = json.loads(path.read_text())
    content["events"].append(LATER["events"][0])
    content["speech"] = [{"start": 1, "end": 30, "text": "thanks for watching"}]
    path.write_text(json.dumps(content))
    content["events"][0]["sentence"] = "changed"
    assert save(server, done, content).status == 200
    found = server.ask("GET", done).json
    assert {one["sentence"] for one in found["events"]} >= {"changed", "a"} and len(found["speech"]) == 1
    assert save(server, done, {"events": LATER["events"]}).status == 200, "speech that is not given stays"
    assert server.ask("GET", done).json["speech"] == found["speech"]
    assert save(server, done, {"events": [], "speech": []}).status == 200
    assert "speech" not in server.ask("GET", done).json
    content["events"][-1]["end"] = 9.5
    assert save(server, done, content).status == 422


def test_the_original_and_the_corrected_view_have_the_same_lanes(server, done):
    """Also where all speech was deleted, or some added, so that a page can show one in place of the other."""
    job_id = done.split("/")[3]
    view = f"/jobs/{job_id}/view"
    said = {"start": 0, "end": 1, "text": "thanks for watching"}
    assert server.ask("GET", view).json["save"]["original"] is None
    assert save(server, done, {"events": EVENTS, "speech": [said]}).status == 200
    path = server.data / "jobs" / job_id / "captions.json"
    for original, corrected in [([], [said]), ([said], [])]:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"speech": original}))
        assert save(server, done, {"events": EVENTS, "speech": corrected}).status == 200
        now = server.ask("GET", view).json
        before = server.ask("GET", now["save"]["original"]).json
        assert [lane["kind"] for lane in now["lanes"]] == [lane["kind"] for lane in before["lanes"]] == [
            "prediction", "speech"]
        assert [len(one["lanes"][1]["events"]) for one in (before, now)] == [len(original), len(corrected)]
        assert "seen by" in before["lanes"][0]["events"][0]["text"]
        assert [event["text"] for event in now["lanes"][0]["events"]] == ["chop", "stir & wait"]
    assert server.ask("GET", f"{view}?version=mine").status == 422


def test_every_format_answers_whatever_is_saved(server, done):
    """As far as it can hold the events; no text ends an element or a line of its own accord."""
    texts = [*MARKUP, "\0\x1b", "a\r\nb\tc", "-->", "\u202eabc", "\ufffe", "x" * 20_000, " ", ""]
    events = [{"start": number / 20, "end": 2, "sentence": text, "level": (-1) ** number * (2 ** 53 - 1),
               "score": 1e308} for number, text in enumerate(texts)]
    assert save(server, done, {"events": events, "speech": [{"start": 0, "end": 1, "text": text} for text in texts]}
                ).status == 200
    formats = server.ask("GET", "/api/about").json["formats"]
    found = {name: server.ask("GET", f"{done}?format={name}") for name in formats}
    assert {name for name, answer in found.items() if answer.status != 200} <= {"youtube", "otio"}
    assert {answer.status for answer in found.values()} <= {200, 422}
    for name in ("elan", "fcpxml", "matroska"):
        ElementTree.fromstring(found[name].body)
    for page in (found["html"], server.ask("GET", f"/jobs/{done.split('/')[3]}")):
        assert page.body.count(b"</script") == 2 and b"<!--" not in page.body
    [shown] = views_in(found["html"].body.decode())
    assert [event["text"] for event in shown["lanes"][0]["events"]] == [
        text.encode("utf-8", "replace").decode() for text in texts]


def test_where_nothing_can_be_saved(server, video):
    failed = server.submit(marked(video, "disk"))
    server.wait(failed)
    for job_id, status in [(failed, 409), ("0" * 32, 404), ("x", 422)]:
        assert save(server, f"/api/jobs/{job_id}/result", {"events": []}).status == status


@pytest.mark.parametrize(("headers", "status"), [
    ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Sec_Fetch_Site": "cross-site"}, 403),
    ({"Host": "evil.example"}, 421)])
def test_other_sites_save_nothing(server, done, headers, status):
    assert save(server, done, {"events": []}, **headers).status == status
    assert len(server.ask("GET", done).json["events"]) == 2
    assert save(server, done, {"events": []}, Origin=f"http://127.0.0.1:{server.port}",
                Sec_Fetch_Site="same-origin").status == 200


def test_a_token_is_needed_to_save(tmp_path, video):
    with serving(tmp_path / "data", token="secret-word") as server:
        bearer = {"Authorization": "Bearer secret-word"}
        job_id = server.ask("POST", "/api/jobs", video, **bearer).json["id"]
        until(lambda: server.ask("GET", f"/api/jobs/{job_id}", **bearer).json["state"] == "done")
        path = f"/api/jobs/{job_id}/result"
        assert save(server, path, {"events": []}).status == 401
        assert save(server, path, {"events": []}, **bearer).status == 200


def test_a_full_disk_changes_nothing(tmp_path, video):
    with serving(tmp_path / "data", largest_file=30_000) as server:
        job_id = server.submit(video)
        server.wait(job_id)
        path = f"/api/jobs/{job_id}/result"
        assert save(server, path, {"events": EVENTS}).status == 200
        before = server.ask("GET", path)
        answer = save(server, path, {"events": [{"start": 0, "end": 1, "sentence": "x" * 40_000}]})
        assert answer.status == 507 and str(server.data) not in answer.json["detail"]
        assert server.ask("GET", path).body == before.body
        assert {os.path.basename(name) for name in server.files()} == {
            "job.json", "video", "captions.json", "corrected.json", "features"}


def test_corrections_outlive_a_restart_and_put_off_the_removal(tmp_path, video):
    with serving(tmp_path / "data") as server:
        job_id = server.submit(video)
        server.wait(job_id)
        path = f"/api/jobs/{job_id}/result"
        assert save(server, path, {"events": EVENTS}).status == 200
        job, found = server.job(job_id), server.ask("GET", path)
    with serving(tmp_path / "data") as server:
        assert server.job(job_id) == job
        assert server.ask("GET", path).headers["etag"] == found.headers["etag"]
    [again] = Jobs(tmp_path / "data", timedelta(days=3))
    assert again.removed == again.corrected + timedelta(days=3) > again.ended + Settings.keep - timedelta(days=4)


def test_a_save_is_described(server):
    about = server.ask("GET", "/openapi.json").json["paths"]["/api/jobs/{job_id}/result"]["put"]
    [_, header] = about["parameters"]
    assert (header["name"], header["in"]) == ("If-Match", "header")
    assert {"200", "400", "404", "409", "412", "413", "422", "428", "507"} <= about["responses"].keys()
    assert "events" in about["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "head" not in server.ask("GET", "/openapi.json").json["paths"]["/api/jobs/{job_id}/result"]


def test_head_is_a_get_without_its_body(server, done):
    job = done.removesuffix("/result")
    for path in ("/", "/docs", "/assets/page.js", "/openapi.json", "/api/jobs", done, f"{done}?format=srt",
                 f"{job}/video", job.removeprefix("/api"), job, f"{job}/nothing", f"{done}?format=docx"):
        head, get = server.ask("HEAD", path), server.ask("GET", path)
        for answer in (head, get):
            del answer.headers["date"]
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b""), path
    part = server.ask("HEAD", f"{job}/video", Range="bytes=10-19")
    assert (part.status, part.headers["content-length"], part.body) == (206, "10", b"")
    assert server.ask("HEAD", f"{job}/cancel").status == 405
    assert server.ask("HEAD", done, Host="evil.example").status == 421


def test_only_the_page_of_the_server_may_ask_it(server, done):
    job_id = done.split("/")[3]
    page = server.ask("GET", f"/jobs/{job_id}")
    assert "; connect-src 'self';" in page.headers["content-security-policy"]
    [view] = views_in(page.body.decode())
    etag = server.ask("GET", done).headers["etag"]
    assert view["save"] == {"address": done, "view": f"/jobs/{job_id}/view", "etag": etag, "original": None}
    assert json.loads(server.ask("GET", view["save"]["view"]).body)["save"] == view["save"]
    alone = server.ask("GET", f"{done}?format=html").body.decode()
    assert "connect-src" not in alone and "fetch(" not in alone and '"save": {' not in alone
