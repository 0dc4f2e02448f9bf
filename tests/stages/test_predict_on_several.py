"""Predictions of several processes are those of one, whatever interrupts them."""

import json
import os
import re
import shutil

import pytest

from hicm import verbs
from hicm.config import load_config
from hicm.files import read_json, write_json
from hicm.stages.record import Record
from tests.processes import run_on
from tests.tiny import make_tiny

BATCH = ["--set", "captioner.decode.batch=2"]  # 7 videos: 4 batches, the last of one video


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run, and what one process predicts of its 7 training videos."""
    folder = tmp_path_factory.mktemp("several")
    config = make_tiny(folder, videos=7, train__epochs=1, train__eval_every=0)
    verbs.train(str(config), out=str(folder / "run"))
    verbs.predict(str(folder / "run"), split="train", out=str(folder / "one.json"), set_=[BATCH[1]])
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_the_file_is_that_of_one_process(run, trained, tmp_path, processes):
    out = tmp_path / "several.json"
    assert run_on(processes, "predict", str(run), "--split", "train", "--out", str(out), *BATCH) == [0] * processes
    assert out.read_bytes() == (trained / "one.json").read_bytes()
    assert not list(tmp_path.glob(".*")) and not list(run.glob(".*")), "no journal, no lock"


@pytest.mark.slow
def test_fewer_videos_than_processes(run, tmp_path):
    config = tmp_path / "val.json"
    truth = read_json(load_config(run / "config.yaml").data.annotations["val"][0])
    video = min(truth)
    write_json(config, {video: truth[video]})
    less = [*BATCH, "--set", f"data.annotations.val={config}"]
    for processes, name in ((1, "one"), (3, "three")):
        assert run_on(processes, "predict", str(run), "--out", str(tmp_path / f"{name}.json"), *less) == [0] * processes
    assert list(read_json(tmp_path / "one.json")["results"]) == [video]
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "three.json").read_bytes()


def fail_on_the_second() -> None:
    """The second process fails after its first batch."""
    from hicm.errors import UserError
    from hicm.systems.captioner.system import System

    real = System.predict

    def fails(self, samples, device="cpu"):
        for number, events in enumerate(real(self, samples, device)):
            if number == 1 and os.environ["RANK"] == "1":
                raise UserError("video v7: cannot be read")
            yield events

    System.predict = fails


@pytest.mark.slow
def test_a_process_that_fails_ends_all_and_its_work_is_kept(run, trained, tmp_path):
    out, said = tmp_path / "p.json", tmp_path / "said.txt"
    command = ["predict", str(run), "--split", "train", "--out", str(out), *BATCH]
    assert run_on(2, *command, said=str(said), patch=fail_on_the_second) == [2, 2]
    errors = re.findall("hicm: error: (.*)", said.read_text())
    assert sorted(error.partition(". The connection said: ")[0] for error in errors) == [
        "another process of this command ended (see its message); run the same command again to continue",
        "video v7: cannot be read"]
    assert "Traceback" not in said.read_text() and not out.exists()
    journals = sorted(path.name for path in tmp_path.glob(".*"))
    assert journals == [".p.json.part", ".p.json.part-1"]

    known = json.loads((tmp_path / journals[1]).read_text().splitlines()[0])  # shows what is not predicted again
    changed = {video: [] for video in known["parts"]}
    (tmp_path / journals[1]).write_text(json.dumps(known | {"parts": changed}) + "\n")
    assert run_on(3, *command) == [0, 0, 0]
    one, found = (read_json(path)["results"] for path in (trained / "one.json", out))
    assert len(changed) == 2 and found == one | changed and list(found) == list(one)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_what_one_process_meets_is_said_once(run, tmp_path):
    """Before the work starts all of them end, with its message."""
    said = tmp_path / "said.txt"
    write_json(tmp_path / "p.json", {"no": "predictions"})
    assert run_on(2, "predict", str(run), "--out", str(tmp_path / "p.json"), said=str(said)) == [2, 2]
    assert said.read_text().splitlines() == [f"hicm: error: {tmp_path / 'p.json'}: exists and holds no predictions; "
                                             "choose another --out, or remove it"]
    said.unlink()
    assert run_on(2, "predict", str(run), "--set", "train.seed=3", said=str(said)) == [2, 2]
    assert len(said.read_text().splitlines()) == 1
    said.unlink()
    assert run_on(2, "predict", "hub:owner/name", said=str(said)) == [2, 2]
    assert "make it with 'hicm pull' or 'hicm convert' first" in said.read_text()


def test_the_record_of_all_processes(tmp_path):
    out = tmp_path / "p.json"
    for process in range(3):
        Record(out, "x", process).add({f"v{process}": []}, {f"v{process}": {"written": process}})
    Record(out, "y", 3).add({"other": []}, {})
    assert Record(out, "x", 1).own() == ({"v1": []}, {"v1": {"written": 1}})
    assert Record(out, "x").of_all() == ({f"v{n}": [] for n in range(3)}, {f"v{n}": {"written": n} for n in range(3)})
    (tmp_path / ".p.json.part-old").touch()
    Record(out, "x").remove()
    assert [path.name for path in tmp_path.iterdir()] == [".p.json.part-old"]
