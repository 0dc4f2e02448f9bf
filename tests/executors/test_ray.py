"""The same on Ray, two workers on this machine."""

import importlib.util
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.executors import DONE, FAILED, REFUSED, SKIPPED, find_executor, processes
from hicm.loading import NoModel
from hicm.stages.build_memory import build_memory
from hicm.stages.extract import extract_features
from tests.executors import calls, work
from tests.memory_data import write_config
from tests.video.videos import write_video

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs hicm[ray]")]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The executor; the cluster, which takes long to start, is started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        ray = pytest.importorskip("ray")
        ray.init(address="local", num_cpus=2, log_to_driver=False)
        yield find_executor("ray", 2)
        ray.shutdown()


def test_equal_bytes_whatever_dies(two, tmp_path):
    """A store from one process, and from Ray with a corrupt file and a video that kills its worker; then again."""
    for name, seconds in (("a", 3.0), ("b", 5.0), ("c", 2.0), ("d", 4.0)):
        write_video(tmp_path / f"{name}.mp4", [0.0, 1.0], seconds)
    files = [tmp_path / f"{name}.mp4" for name in "abcd"]
    assert extract_features(files, work.Fatal(), tmp_path / "one.h5", tmp_path / "cache 1").ok
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 999)
    write_video(tmp_path / "dark.mp4", [0.0, 1.0], 2.0, picture=np.zeros((48, 64, 3), np.uint8))
    bad = [tmp_path / "dark.mp4", tmp_path / "broken.mp4"]
    for _ in range(2):
        summary = extract_features([*bad, *files], partial(work.Fatal), tmp_path / "two.h5", tmp_path / "cache 2",
                                   executor=two)
        assert (summary.done, summary.failed) == (tuple("abcd"), ("dark", "broken"))
        reasons = {json.loads(line)["video"]: json.loads(line)["reason"]
                   for line in summary.records.read_text().splitlines()}
        assert len(reasons) == 2 and "cannot be read as a video" in reasons[str(bad[1])]
        assert "dark.mp4: the worker died while working on it (" in reasons[str(bad[0])]
        assert (tmp_path / "two.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()


def test_what_goes_wrong(two, tmp_path):
    names = ("SIGKILL", "one", "SIGSEGV", "two", "exit", "bug", "corrupt", "refuse", "skip", "warn", "three")
    with pytest.warns(UserWarning, match="the same of every worker") as warned:
        found = work.outcomes(two, work.load, tmp_path, *names)
    assert len([one for one in warned if one.category is UserWarning]) == 1
    assert {name: outcome.state for name, outcome in found.items()} == dict.fromkeys(names, FAILED) | dict.fromkeys(
        ("one", "two", "warn", "three"), DONE) | {"refuse": REFUSED, "skip": SKIPPED}
    for name in ("SIGKILL", "SIGSEGV", "exit"):
        assert found[name].reason.startswith(f"{name}.mp4: the worker died while working on it")
    assert found["bug"].reason == "bug.mp4: ZeroDivisionError: of the test; this is a bug, please report it"
    assert found["warn"].messages.lines == ["a line"]
    assert found["warn"].messages.warnings == [("a warning", RuntimeWarning)]
    assert all(path.read_text() == "x" for path in tmp_path.glob("began *")), "nothing is tried twice"


def test_workers_work_where_the_call_was_made(two, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = work.outcomes(two, work.load, Path(), "where 1", "where 2", "where 3")
    assert {(one.result["folder"], one.result["threads"]) for one in found.values()} == {(str(tmp_path), "1")}
    assert not work.outcomes(two, work.load, tmp_path)


def test_a_job_that_cannot_be_loaded(two, tmp_path):
    with pytest.raises(UserError, match="model: not found"):
        work.outcomes(two, work.refuse_to_load, tmp_path, "one", "two", "three")


def test_a_model_that_is_missing_ends_the_call(two, tmp_path):
    with pytest.raises(NoModel, match="wanted by every video"):
        work.outcomes(two, work.load, tmp_path, "model", *(f"wait {number}" for number in range(9)))
    assert not (tmp_path / "done wait 8").exists()


@pytest.mark.parametrize("kind", ["transcripts", "captions"])
def test_files_of_equal_bytes(two, tmp_path, kind):
    files = [write_video(tmp_path / f"{name}.mp4", [0.0, 1.0], 3.0) for name in "abc"]
    bank = build_memory(write_config(tmp_path, summariser="medoid"))
    for name, executor in (("one", partial(processes.run, workers=1)), ("two", two), ("two", two)):
        summary = calls.make(kind, files, tmp_path / name, tmp_path / f"cache {name}", bank, executor)
        assert summary.ok
    assert summary.skipped == ("a", "b", "c")
    made = work.contents(tmp_path / "one")
    assert made == work.contents(tmp_path / "two") and len(made) == (3 if kind == "transcripts" else 15)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_ended_call_leaves_no_worker(tmp_path, number):
    """Nor a cluster that it has started."""
    process = subprocess.Popen([sys.executable, "-m", "tests.executors.calls", str(tmp_path), "ray", "one", "sleep 1",
                                "sleep 2", "two"], stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    work.wait_until(lambda: all((tmp_path / f"began sleep {one}").exists() for one in (1, 2)))
    before = work.session(process.pid)
    assert len(before) > 2 and len(work.alive(tmp_path)) == 2
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    work.wait_until(lambda: not work.alive(tmp_path) and not work.session(process.pid))
    assert "Traceback" not in said and not (tmp_path / "failed.jsonl").exists()
    assert {path.name for path in tmp_path.glob("done *")} == {"done one"}
