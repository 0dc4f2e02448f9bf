"""How captions are scored and decoded may be corrected in a run whose weights stay what they are."""

import json
import shutil
from pathlib import Path

import pytest

from hicm import verbs
from hicm.cli import main
from hicm.config import load_config
from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.locks import holding
from hicm.stages import run_folder
from hicm.stages.origins import training_origin, training_samples
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, train__epochs=2, train__eval_every=1)


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """An undisturbed run, for tests that do not write into it."""
    return verbs.train(str(tiny), out=str(tmp_path_factory.mktemp("finished") / "run"))


@pytest.fixture(scope="module")
def whole(finished):
    """The weights of an undisturbed run."""
    return sha256(finished / "last" / "model.safetensors")


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the undisturbed run."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def failing(monkeypatch):
    """Evaluation fails, for a reason that no check has foreseen."""
    with monkeypatch.context() as patch:
        def fail(*_):
            raise UserError("no memory left for this protocol")

        patch.setattr("hicm.training.evaluators.Selection._score", fail)
        yield patch


CORRECTION = ["evaluate.protocol=hicm", "captioner.decode.max_tokens=20", "train.select_on=CIDEr"]


def test_a_run_that_failed_at_its_first_evaluation_goes_on(tiny, whole, tmp_path, failing, capsys):
    run = tmp_path / "run"
    with pytest.raises(UserError, match="no memory left"):
        verbs.train(str(tiny), out=str(run))
    before = read_json(run / "manifest.json")
    assert (run / "checkpoint.pt").exists() and len((run / "stats.jsonl").read_text().splitlines()) == 2
    failing.undo()
    verbs.train(str(tiny), out=str(run), set_=CORRECTION)
    assert f"{run}: continues with evaluate.protocol=hicm in place of its default" in capsys.readouterr().out
    manifest = read_json(run / "manifest.json")
    correction, = manifest["corrected"]
    assert correction["settings"] == {"evaluate.protocol": ["its default", "hicm"],
                                      "train.select_on": ["soda_d", "CIDEr"], "captioner.decode.max_tokens": [30, 20]}
    assert manifest["run"] == before["run"] and manifest["identity"] != before["identity"]
    assert manifest["selected"]["metric"] == "CIDEr" and "best CIDEr" in manifest["selected_on"]
    config = load_config(run / "config.yaml")
    assert (config.evaluate.protocol, config.room.decode.max_tokens) == ("hicm", 20)
    assert sha256(run / "last" / "model.safetensors") == whole, "no weight was learnt again or otherwise"
    steps = [json.loads(line)["step"] for line in (run / "stats.jsonl").read_text().splitlines() if "loss" in line]
    assert steps == [1, 2, 3, 4]
    verbs.train(str(tiny), out=str(run), set_=CORRECTION)
    assert len(read_json(run / "manifest.json")["corrected"]) == 1, "the same command again corrects nothing"


def test_once_selected_the_score_stays(tiny, run):
    manifest = read_json(run / "manifest.json")
    manifest.pop("finished")
    write_json(run / "manifest.json", manifest)
    for override in ("evaluate.protocol=hicm", "train.select_on=CIDEr"):
        with pytest.raises(UserError, match="its checkpoints were selected by other scores; choose another --out"):
            verbs.train(str(tiny), out=str(run), set_=[override])
    assert read_json(run / "manifest.json") == manifest


def test_without_a_named_folder_the_run_is_found(tiny, tmp_path, monkeypatch, failing):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no memory left"):
        verbs.train(str(tiny))
    run, = run_folder.RUNS.iterdir()
    failing.undo()
    monkeypatch.setattr(run_folder, "is_held", lambda path: True)  # as while it is training: a run of its own
    config = load_config(tiny, CORRECTION)
    origin = training_origin(config, training_samples(config, "val"))
    assert run_folder.find_run("tiny", config, origin) != run
    monkeypatch.setattr(run_folder, "is_held", lambda path: False)
    for _ in range(2):
        assert verbs.train(str(tiny), set_=CORRECTION) == run
    other = load_config(tiny, ["train.lr=0.5"])
    assert run_folder.find_run("tiny", other, training_origin(other, training_samples(other, "val"))) != run


def test_another_split_of_a_run_is_scored_by_name(run, capsys):
    evaluate = ["evaluate", str(run), "--split", "train", "--metrics", "F1"]
    assert main(evaluate) == 2
    assert f"predictions_train.json: predictions not found; make them with 'hicm predict {run} --split train'" in \
        capsys.readouterr().err
    verbs.predict(str(run), split="train")
    assert main(evaluate) == 0 and "F1" in read_json(run / "metrics_train.json")["scores"]
    assert main(["evaluate", str(run), "--split", "test"]) == 2
    assert "no files for split 'test'; known splits: train, val" in capsys.readouterr().err
    assert main(["evaluate", str(run / "predictions_train.json"), "--split", "train"]) == 2
    assert "--split train is for a run folder" in capsys.readouterr().err


def test_a_full_disk_under_tensorboard_stops_no_training(tiny, whole, tmp_path, monkeypatch, capsys):
    from tensorboard.summary.writer import record_writer

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record_writer.RecordWriter, "write", full)
    run = tmp_path / "run"
    with pytest.warns(UserWarning, match=f"{run}/tensorboard: cannot be written .No space left on device.; its curves"):
        assert main(["train", str(tiny), "--out", str(run), "--set", "train.select_on=CIDEr"]) == 0
    assert "Traceback" not in capsys.readouterr().err and sha256(run / "last" / "model.safetensors") == whole


def test_two_trainings_share_no_folder(tiny, run, tmp_path, capsys):
    new = tmp_path / "new"
    with holding(new / run_folder.LOCK, "hicm train"):
        assert main(["train", str(tiny), "--out", str(new)]) == 2
        assert f"{new}: in use by hicm train (process " in capsys.readouterr().err
        assert [path.name for path in new.iterdir()] == [".lock"]
    with holding(run / run_folder.LOCK, "hicm train"):
        assert main(["predict", str(run)]) == 2 and f"{run}: in use by hicm train" in capsys.readouterr().err
    with holding(run / ".predictions_val.json.lock", "hicm predict"):
        assert main(["predict", str(run)]) == 2
        assert f"{run}/predictions_val.json: in use by hicm predict" in capsys.readouterr().err
    (run / ".checkpoint.pt.abcdefgh.pt").write_bytes(b"torn")
    assert main(["predict", str(run)]) == 0 and main(["train", str(tiny), "--out", str(run)]) == 0
    assert not list(run.rglob(".*"))
    bank = Path(load_config(tiny).memory.path)
    with holding(bank / ".lock", "hicm memory build"):
        assert main(["memory", "build", str(tiny), "--overwrite"]) == 2
    assert f"{bank}: in use by hicm memory build" in capsys.readouterr().err
