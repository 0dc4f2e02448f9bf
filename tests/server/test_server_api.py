"""The HTTP API: submit, status, result, cancel, delete; the queue and what it survives."""

import asyncio
import io
import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from hicm.errors import UserError
from hicm.exports.json import read
from hicm.server import worker
from hicm.server.jobs import Jobs
from hicm.server.results import Video
from hicm.server.settings import Settings
from tests.server.serving import OPTIONS, children, serving, start, until
from tests.server.tiny_worker import VideoCaptioner, marked

HELD = {"jobs/ID/job.json", "jobs/ID/video", "jobs/ID/captions.json", "jobs/ID/cache/features"}


def test_a_video_is_captioned(server, video, tmp_path):
    job_id = server.submit(video, "my%20talk.mp4")
    job = server.wait(job_id)
    assert (job["state"], job["events"], job["name"], job["error"]) == ("done", 2, "my talk.mp4", "")
    assert (job["size"], job["duration"], job["media_type"]) == (len(video), 2.0, "video/mp4")
    assert job["created"] < job["started"] < job["ended"] < job["removed"]
    assert server.ask("GET", "/api/jobs?limit=1").json == [job]
    assert server.files() == HELD
    answer = server.ask("GET", f"/api/jobs/{job_id}/result")
    (tmp_path / "captions.json").write_bytes(answer.body)
    captioned = read(tmp_path / "captions.json")
    assert (captioned.id, captioned.source, len(captioned.events)) == ("my talk", "my talk.mp4", 2)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''my%20talk.json"
    vtt = server.ask("GET", f"/api/jobs/{job_id}/result?format=vtt")
    assert vtt.headers["content-type"] == "text/vtt; charset=utf-8" and b"&lt;b&gt;salt &amp; pepper" in vtt.body
    assert server.ask("DELETE", f"/api/jobs/{job_id}").status == 204
    assert server.files() == set() and server.ask("GET", f"/api/jobs/{job_id}").status == 404


def test_the_video_is_sent_in_ranges(server, video):
    job_id = server.submit(video)
    path = f"/api/jobs/{job_id}/video"
    whole = server.ask("GET", path)
    assert (whole.status, whole.body, whole.headers["content-type"]) == (200, video, "video/mp4")
    part = server.ask("GET", path, Range="bytes=10-19")
    assert (part.status, part.body) == (206, video[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(video)}"
    assert server.ask("GET", path, Range=f"bytes={len(video)}-").status == 416


def test_a_video_that_is_removed_before_it_is_sent(tmp_path, video):
    (tmp_path / "video").write_bytes(video)
    answer = Video(tmp_path / "video", stat_result=(tmp_path / "video").stat())
    (tmp_path / "video").unlink()
    sent = []

    async def send(message):
        sent.append(message["type"])

    async def receive():
        await asyncio.sleep(60)

    asyncio.run(answer({"type": "http", "method": "GET", "headers": []}, receive, send))
    assert sent == ["http.response.start"], "the client sees that it is cut off"


def test_a_result_that_cannot_be_had_is_explained(server, video):
    done = server.submit(video)
    server.wait(done)
    failed = server.submit(marked(video, "disk"), "full.mp4")
    job = server.wait(failed)
    assert job["error"].startswith("full.mp4: cannot be written (No space left on device)")
    for path, status, said in [
        (f"{done}/result?format=docx", 422, "expected one of 'activitynet'"),
        (f"{done}/result?format=../json", 422, "expected one of"),
        (f"{done}/result?format=youtube", 422, "YouTube shows chapters only if"),
        (f"{failed}/result", 409, "the job is failed: full.mp4: cannot be written"),
        ("0" * 32, 404, "no such job"),
    ]:
        answer = server.ask("GET", f"/api/jobs/{path}")
        assert answer.status == status and said in answer.json["detail"]
        assert str(server.data) not in answer.json["detail"]
    answer = server.ask("POST", f"/api/jobs/{done}/cancel")
    assert (answer.status, answer.json["detail"]) == (409, "the job is already done")


def test_jobs_run_one_at_a_time_and_can_be_cancelled(server, video):
    running = server.submit(marked(video, "wait"))
    assert server.wait(running, "running")["state"] == "running"
    until(lambda: server.job(running)["progress"])
    assert server.job(running)["progress"] == {"stage": "frames", "done": 1.0, "total": 2.0}
    queued, after, deleted = (server.submit(video) for _ in range(3))
    assert {server.job(one)["state"] for one in (queued, after, deleted)} == {"queued"}
    assert server.ask("POST", f"/api/jobs/{queued}/cancel").json["state"] == "cancelled"
    assert server.ask("DELETE", f"/api/jobs/{deleted}").status == 204
    assert server.ask("POST", f"/api/jobs/{running}/cancel").json["state"] == "cancelled"
    assert server.wait(after)["state"] == "done", "the worker was started again"
    again = server.submit(marked(video, "wait"))
    server.wait(again, "running")
    assert server.ask("DELETE", f"/api/jobs/{again}").status == 204
    assert server.wait(server.submit(video))["state"] == "done"


def test_the_first_stage_of_a_job_is_reported_even_if_the_job_before_just_failed_in_it(tmp_path):
    reports = worker.Reports(stream := io.StringIO())
    request = {"video": str(tmp_path / "video"), "name": "full.mp4", "cache": str(tmp_path / "cache")}
    Path(request["video"]).write_bytes(marked(b"", "disk"))
    for _ in range(2):
        with pytest.raises(UserError, match="No space left"):
            worker._caption(VideoCaptioner(model=""), request, reports)
    assert [json.loads(line)["stage"] for line in stream.getvalue().splitlines()] == ["frames", "frames"]


def test_what_ends_the_worker_costs_one_job(server, video):
    reasons = {"SIGSEGV": "the process that captions was ended by SIGSEGV, the video is probably damaged",
               "SIGKILL": "the process that captions was ended by SIGKILL, perhaps for lack of memory",
               "bug": "an error in hicm (ZeroDivisionError: division by zero); the server's output has more"}
    bad = {what: server.submit(marked(video, what)) for what in reasons}
    after = server.submit(video)
    assert server.wait(after)["state"] == "done"
    assert {what: server.job(job_id)["error"] for what, job_id in bad.items()} == reasons
    assert len(children(server.process.pid)) == 1


def test_a_worker_that_dies_idle_costs_nothing(server, video):
    [worker] = children(server.process.pid)
    os.kill(worker, signal.SIGKILL)
    until(lambda: not children(server.process.pid))
    assert server.wait(server.submit(video))["state"] == "done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_queue_survives_a_restart(tmp_path, video, number):
    with serving(tmp_path / "data") as server:
        done = server.wait(server.submit(video))
        running, queued = server.submit(marked(video, "wait")), server.submit(video)
        server.wait(running, "running")
        workers = children(server.process.pid)
        assert len(workers) == 1
        begun = time.monotonic()
        assert server.stop(number) == (-number if number == signal.SIGKILL else 128 + number)
        assert time.monotonic() - begun < 5
        for _ in range(500):
            if not any(os.path.exists(f"/proc/{worker}") for worker in workers):
                break
            time.sleep(0.01)
        else:
            raise AssertionError("the worker has outlived the server")
    if number == signal.SIGKILL:  # in the middle of an upload, of a removal, of writing
        (tmp_path / "data" / "uploads" / "half").mkdir()
        (tmp_path / "data" / "jobs" / ("e" * 32)).mkdir()
        (tmp_path / "data" / "jobs" / ("e" * 32) / "video").touch()
        (tmp_path / "data" / "jobs" / ("d" * 32)).mkdir()
        (tmp_path / "data" / "jobs" / ("d" * 32) / "job.json").write_text("{")
    else:
        assert json.loads((tmp_path / "data/jobs" / running / "job.json").read_text())["state"] == "queued"
    with serving(tmp_path / "data") as server:
        assert server.job(done["id"]) == done
        server.wait(running, "running")
        assert server.job(queued)["state"] == "queued"
        server.ask("POST", f"/api/jobs/{running}/cancel")
        assert server.wait(queued)["state"] == "done"
        if number == signal.SIGKILL:
            damaged = server.job("d" * 32)
            assert damaged["state"] == "failed" and "expected a job as hicm serve writes it" in damaged["error"]
            assert not list((tmp_path / "data/uploads").iterdir()) and server.job("e" * 32) == {
                "detail": "no such job; it may have been removed"}


def test_a_job_that_kills_the_server_is_given_up(tmp_path, video):
    """It would do so at every start, and no other job would ever be captioned."""
    jobs = Jobs(tmp_path, Settings.keep)
    upload = jobs.new_upload()
    (upload / "video").write_bytes(video)
    job_id = jobs.add(upload, "talk.mp4").id
    for killed in (1, 2):
        assert jobs.next() is not None
        jobs.change(job_id, state="running")
        jobs = Jobs(tmp_path, Settings.keep)
        assert jobs.get(job_id).interrupted == killed
    for job in (jobs.get(job_id), Jobs(tmp_path, Settings.keep).get(job_id)):
        assert (job.state, job.progress) == ("failed", None) and job.removed
        assert job.error == ("the server was killed 2 times while it captioned this video, perhaps for lack of memory; "
                             "to try again, submit it again")


def test_a_worker_that_hangs_costs_one_job(tmp_path, video):
    with serving(tmp_path / "data", stall=0.3) as server:
        hanging, after = server.submit(marked(video, "wait")), server.submit(video)
        job = server.wait(hanging)
        assert job["state"] == "failed" and job["error"].startswith("nothing has happened for 0.005 minutes")
        assert server.wait(after)["state"] == "done" and len(children(server.process.pid)) == 1


def test_a_job_that_cannot_be_removed_stays(tmp_path, video):
    with serving(tmp_path / "data", keep=timedelta(seconds=1), check=0.05) as server:
        job = server.wait(server.submit(video))
        file = server.data / "jobs" / job["id"] / "job.json"
        file.rename(file.with_name("kept"))
        file.mkdir()
        answer = server.ask("DELETE", f"/api/jobs/{job['id']}")
        assert answer.status == 507 and answer.json["detail"].startswith("the job cannot be removed")
        time.sleep(1.3)
        assert server.job(job["id"]) == job, "its time is over, and the server runs on"
        file.rmdir()
        until(lambda: not server.files())


def test_jobs_are_removed_after_their_time(tmp_path, video):
    with serving(tmp_path / "data", keep=timedelta(seconds=0.2), check=0.05) as server:
        job_id = server.submit(video)
        for _ in range(500):
            if server.ask("GET", f"/api/jobs/{job_id}").status == 404 and not server.files():
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the job is still there")


def test_a_save_puts_off_a_removal_that_was_about_to_happen(tmp_path):
    async def ends() -> tuple[bool, bool]:
        jobs = Jobs(tmp_path / "data", timedelta(0))
        job = jobs.add(jobs.new_upload(), "talk.mp4", state="done")
        jobs.change(job.id, state="done")
        [listed] = jobs.expired()
        jobs.keep = timedelta(days=1)
        jobs.corrected(job.id, 1)
        await jobs.remove(listed.id, expired=True)
        kept = jobs.get(job.id) is not None and jobs.path(job.id).is_dir()
        await jobs.remove(listed.id)
        return kept, jobs.get(job.id) is None

    assert asyncio.run(ends()) == (True, True)


def test_what_cannot_start_says_why(server, tmp_path):
    process, pipe = start(Settings(OPTIONS, server.data, port=0))
    assert pipe.poll(30) and "in use by hicm serve (process" in pipe.recv()
    process.join(10)
    assert process.exitcode == 2
    process, pipe = start(Settings(OPTIONS, tmp_path / "data", port=server.port))
    assert pipe.poll(30)
    assert pipe.recv() == (f"--port {server.port}: cannot be used on 127.0.0.1 (Address already in use); choose "
                           "another, or 0 for any that is free")
    wrong = Settings(OPTIONS | {"model": "nowhere"}, tmp_path / "data", port=0, worker="tests.server.tiny_worker")
    process, pipe = start(wrong)
    assert pipe.poll(30) and pipe.recv() == "nowhere: run not found; give a run folder"
    process.join(10)
    assert process.exitcode == 2
