"""Work on videos in several processes: equal results, and what goes wrong costs one video."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hicm.cli import main
from hicm.errors import UserError
from hicm.executors import DONE, FAILED, REFUSED, SKIPPED, find_executor
from hicm.loading import NoModel
from hicm.stages.build_memory import build_memory
from hicm.stages.each_video import each_video
from hicm.stages.extract import extract_features
from tests.executors import calls, work
from tests.memory_data import write_config
from tests.video.videos import write_three_and_a_broken_one, write_video

TWO = find_executor("processes", 2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_three_and_a_broken_one(tmp_path_factory.mktemp("videos"))


def test_a_store_of_equal_bytes(videos, tmp_path, capsys):
    def features(number: int, *more: str) -> tuple[bytes, list[str], str]:
        out, cache = tmp_path / f"{number}.h5", tmp_path / f"cache {number}"
        arguments = ["features", str(videos), "--out", str(out), "--cache", str(cache), "--encoder", "hashing:8"]
        assert main([*arguments, *more]) == 1
        said = capsys.readouterr()
        assert "3 extracted, 1 failed (see " in said.out and said.err.count("broken.mp4") == 1
        [record] = map(json.loads, Path(f"{out}.failed.jsonl").read_text().splitlines())
        return out.read_bytes(), sorted(path.name for path in cache.iterdir()), record["reason"]

    one = features(1)
    assert features(2, "--workers", "2") == one
    assert features(2, "--workers", "3") == one, "run again"


def test_a_crash_costs_one_video(tmp_path, videos, capsys):
    """And the next call, with an encoder that does not crash, does that one."""
    write_video(tmp_path / "dark.mp4", [0.0, 1.0], 2.0, picture=np.zeros((48, 64, 3), np.uint8))
    files = [tmp_path / "dark.mp4", *(videos / f"{name}.mp4" for name in "abc")]
    summary = extract_features(files, partial(work.Fatal), tmp_path / "f.h5", tmp_path / "cache", executor=TWO)
    assert (summary.done, summary.failed, summary.ok) == (("a", "b", "c"), ("dark",), False)
    [record] = map(json.loads, summary.records.read_text().splitlines())
    assert record["video"] == str(files[0]) and record["reason"] in capsys.readouterr().err
    assert "dark.mp4: the worker died while working on it (SIGKILL, often for lack of memory" in record["reason"]
    files[0].write_bytes((videos / "b.mp4").read_bytes())
    assert extract_features(files, partial(work.Fatal), tmp_path / "f.h5", tmp_path / "cache", executor=TWO).ok
    assert not summary.records.exists()


def test_what_goes_wrong(tmp_path, capsys):
    """Two crashes among more videos than workers, a bug, a corrupt file, what is refused or skipped."""
    names = ("SIGKILL", "one", "SIGSEGV", "two", "exit", "bug", "corrupt", "refuse", "skip", "three")
    with pytest.warns(UserWarning, match="the same of every worker") as warned:
        found = work.outcomes(TWO, work.load, tmp_path, *names)
    assert len(warned) == 1
    assert {name: outcome.state for name, outcome in found.items()} == dict.fromkeys(names, FAILED) | dict.fromkeys(
        ("one", "two", "three"), DONE) | {"refuse": REFUSED, "skip": SKIPPED}
    assert "died while working on it (SIGSEGV); the same command" in found["SIGSEGV"].reason
    assert "died while working on it (exit status 3)" in found["exit"].reason
    assert found["bug"].reason == "bug.mp4: ZeroDivisionError: of the test; this is a bug, please report it"
    assert (found["bug"].stage, found["SIGSEGV"].stage) == ("worker", "worker")
    assert "in work\n" in found["bug"].messages.lines[0]
    assert found["corrupt"].reason == "corrupt.mp4: is corrupt"
    assert len(list(tmp_path.glob("loaded *"))) <= 2 + 3, "models are loaded once per worker, and for each that died"
    assert all(path.read_text() == "x" for path in tmp_path.glob("began *")), "nothing is tried twice"


def test_the_last_video_is_fatal(tmp_path):
    found = work.outcomes(TWO, work.load, tmp_path, "one", "two", "SIGKILL")
    assert found["SIGKILL"].state == FAILED and len(list(tmp_path.glob("loaded *"))) <= 2


def test_lines_and_warnings_come_with_their_video(tmp_path, capsys):
    found = work.outcomes(TWO, work.load, tmp_path, "warn 1", "warn 2", "one")
    assert [found[f"warn {number}"].messages.lines for number in (1, 2)] == [["a line"]] * 2
    assert found["warn 1"].messages.warnings == [("a warning", RuntimeWarning)]
    with pytest.warns(RuntimeWarning) as warned:
        work_of = partial(work.load, tmp_path)
        each_video(work.videos("warn 1", "warn 2"), work_of, tmp_path, "worked", executor=TWO)
    assert {str(one.message) for one in warned if one.category is RuntimeWarning} == {
        "warn 1.mp4: a warning", "warn 2.mp4: a warning"}


def test_a_job_that_cannot_be_loaded(tmp_path):
    with pytest.raises(UserError, match="model: not found"):
        work.outcomes(TWO, work.refuse_to_load, tmp_path, "one", "two")


def test_a_model_that_is_missing_ends_the_call(tmp_path):
    with pytest.raises(NoModel, match="wanted by every video"):
        work.outcomes(TWO, work.load, tmp_path, "model", *(f"wait {number}" for number in range(9)))
    assert not (tmp_path / "done wait 8").exists()


def test_workers_that_die_while_they_load(tmp_path):
    with pytest.warns(UserWarning, match=r"a worker died while it loaded the models \(SIGKILL.*; 1 continue"):
        found = work.outcomes(TWO, work.die_while_loading, tmp_path, "wait 1", "wait 2", "wait 3")
    assert {outcome.state for outcome in found.values()} == {DONE}
    with (pytest.raises(UserError, match=r"all died while they loaded the models \(SIGKILL"),
          pytest.warns(UserWarning, match="a worker died")):
        work.outcomes(TWO, work.die_while_loading, tmp_path, "one", "two")


def test_cores_and_devices_are_shared_out(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    found = work.outcomes(TWO, work.load, tmp_path, "where 1", "where 2").values()
    assert {one.result["threads"] for one in found} == {str(max(len(os.sched_getaffinity(0)) // 2, 1))}
    devices = {one.result["process"]: one.result["device"] for one in found}
    assert set(devices.values()) <= {"4", "7"} and len(set(devices.values())) == len(devices)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,7"


@pytest.mark.parametrize("kind", [
    "transcripts",
    pytest.param("captions", marks=pytest.mark.slow),  # every worker imports torch
])
def test_files_of_equal_bytes(videos, tmp_path, kind):
    files = [videos / f"{name}.mp4" for name in "abc"]
    bank = build_memory(write_config(tmp_path, summariser="medoid"))
    for name, executor in (("one", find_executor("processes", 1)), ("two", TWO), ("two", TWO)):
        summary = calls.make(kind, files, tmp_path / name, tmp_path / f"cache {name}", bank, executor)
        assert summary.ok
    assert summary.skipped == ("a", "b", "c")
    made = work.contents(tmp_path / "one")
    assert made == work.contents(tmp_path / "two") and len(made) == (3 if kind == "transcripts" else 15)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_call_leaves_no_worker(tmp_path, number):
    """Ctrl-C goes to all processes of a terminal; what is finished stays."""
    process = subprocess.Popen([sys.executable, "-m", "tests.executors.calls", str(tmp_path), "processes", "one",
                                "sleep 1", "sleep 2", "two"], stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    work.wait_until(lambda: (tmp_path / "began sleep 1").exists() and (tmp_path / "began sleep 2").exists())
    assert len(work.alive(tmp_path)) == 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == (128 + number if number != signal.SIGKILL else -number)
    work.wait_until(lambda: not work.alive(tmp_path), 10)
    assert "Traceback" not in said and not (tmp_path / "failed.jsonl").exists()
    assert {path.name for path in tmp_path.glob("done *")} == {"done one"}


@pytest.mark.parametrize(("arguments", "message"), [
    (["--workers", "0"], "--workers 0: expected 1 or more"),
    (["--executor", "slurm"], "--executor: expected one of 'processes', 'ray', found 'slurm'; did you mean"),
])
def test_bad_arguments(videos, tmp_path, capsys, arguments, message):
    assert main(["features", str(videos), "--out", str(tmp_path / "f.h5"), "--encoder", "hashing:8", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_ray_is_missing(monkeypatch):
    monkeypatch.setattr("hicm.executors.ray.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--executor ray needs Ray Data; install it: pip install 'hicm\[ray\]'"):
        find_executor("ray", 2)
