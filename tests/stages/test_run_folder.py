"""Run folders: what a training leaves, when it continues, when it refuses, and folders that hicm 0.1.0 made."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hicm import verbs
from hicm.cli import main
from hicm.config import load_config
from hicm.data.features import open_features, write_features
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.stages.origins import training_origin, training_samples
from hicm.stages.run_folder import open_run, run_name
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, train__epochs=1, train__eval_every=1)


def origin(path, *overrides):
    config = load_config(path, overrides)
    return training_origin(config, training_samples(config, config.data.select))


def begin(folder: Path, path, *overrides: str) -> str:
    made = origin(path, *overrides)
    return open_run(folder, run_name("tiny", made), load_config(path, overrides), made)[0]


# what decides a training

@pytest.mark.parametrize("override", ["train.lr=0.5", "retrieval.windows=3", "captioner.vocabulary=100",
                                      "captioner.objective.generative=2", "data.frames=10", "train.seed=1",
                                      "evaluate.protocol=hicm"])
def test_what_decides_a_training_gives_it_another_name(tiny, override):
    assert origin(tiny, override).identity != origin(tiny).identity


@pytest.mark.parametrize("override", ["captioner.decode.beams=3", "train.workers=2", "train.log_every=7", "data.name=x",
                                      "train.checkpoint_every=9", "offline=true", "evaluate.metrics=[F1]",
                                      "summary.words=5", "captioner.objective.label_smoothing=0.1"])
def test_what_does_not_decide_it_does_not(tiny, override):
    """A setting at its default, too: one that is new in a later version renames nothing."""
    assert origin(tiny, override).identity == origin(tiny).identity


def test_inputs_are_known_by_their_content(tiny, tmp_path):
    """Copied, touched or moved data are the same; features extracted anew in place, annotations or speech are not."""
    before = origin(tiny)
    data = shutil.copytree(tiny.parent / "data", tmp_path / "data")
    for path in data.iterdir():
        os.utime(path, (1, 1))
    moved = [f"data.annotations.{split}={data}/{split}.json" for split in ("train", "val")]
    moved += [f"data.features={data}/features.h5", f"data.speech={data}/speech.json"]
    assert origin(tiny, *moved).identity == before.identity

    store = open_features(data / "features.h5")
    ids = [*read_json(data / "train.json"), *read_json(data / "val.json")]
    arrays = {video: store.read(video).astype(np.float16) for video in ids}
    folder = tmp_path / "npy"
    folder.mkdir()
    for video, array in arrays.items():
        np.save(folder / f"{video}.npy", array)
    as_folder = origin(tiny, *moved, f"data.features={folder}")
    assert as_folder.identity == before.identity, "the kind of store does not matter"
    arrays[ids[0]][-1] += 1
    again = write_features(tmp_path / "again.h5", arrays)
    assert origin(tiny, *moved, f"data.features={again}").differences(before.to_json()) == [
        "features of train has other content"]
    speech = read_json(data / "speech.json")
    speech[next(video for video in ids if video in speech)]["text"][0] = "something else"
    write_json(data / "speech.json", speech)
    assert any(line.startswith("speech of ") for line in origin(tiny, *moved).differences(before.to_json()))


# opening a folder

def test_a_new_run_leaves_settings_and_manifest(tiny, tmp_path):
    run = begin(tmp_path / "run", tiny)
    manifest = read_json(tmp_path / "run" / "manifest.json")
    assert manifest["run"] == run == f"tiny-{manifest['identity'][:8]}"
    assert manifest["decided_by"] == origin(tiny).to_json()
    assert load_config(tmp_path / "run" / "config.yaml") == load_config(tiny)


def test_the_same_run_continues(tiny, tmp_path):
    begin(tmp_path / "run", tiny)
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    begin(tmp_path / "run", tiny)
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_two_settings_never_share_a_folder(tiny, tmp_path):
    begin(tmp_path / "run", tiny)
    (tmp_path / "run" / "stats.jsonl").touch()
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UserError, match=r"holds run tiny-\w+, started differently .train\.lr is 0\.001 there and 0\.5"):
        begin(tmp_path / "run", tiny, "train.lr=0.5")
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_data_corrected_before_anything_was_learnt(tiny, tmp_path):
    """A broken annotation file stops training at once; the same command goes on when it is corrected."""
    begin(tmp_path / "run", tiny, "train.lr=0.5")
    (tmp_path / "run" / "retrieved_training.h5").touch()
    begin(tmp_path / "run", tiny)
    assert read_json(tmp_path / "run" / "manifest.json")["decided_by"] == origin(tiny).to_json()


@pytest.mark.parametrize(("content", "match"), [("{", "run manifest is not valid json"), ("[]", "names no run"),
                                                ("{}", "names no run")])
def test_a_damaged_manifest_is_no_licence_to_overwrite(tiny, tmp_path, content, match):
    begin(tmp_path / "run", tiny)
    (tmp_path / "run" / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=match):
        begin(tmp_path / "run", tiny)
    assert (tmp_path / "run" / "manifest.json").read_text() == content


def test_decoding_may_change_and_the_run_keeps_its_own(tiny, tmp_path, capsys):
    run = tmp_path / "run"
    verbs.train(str(tiny), out=str(run))
    verbs.train(str(tiny), out=str(run), set_=["captioner.decode.max_tokens=5"])
    assert "its own captioner.decode" in capsys.readouterr().out
    assert load_config(run / "config.yaml").room.decode.max_tokens == 30


# a model folder is whole

def test_a_run_owns_its_bank(tiny, tmp_path, capsys):
    """Built again elsewhere or lost, the bank that a run learnt with is still the one it recalls from."""
    bank = shutil.copytree(tiny.parent / "bank", tmp_path / "bank")
    run = tmp_path / "run"
    verbs.train(str(tiny), out=str(run), set_=[f"memory.path={bank}"])
    shutil.rmtree(bank)
    assert main(["predict", str(run)]) == 0
    first = read_json(run / "predictions_val.json")["decided_by"]["inputs"]["memory bank"]
    assert first == read_json(run / "manifest.json")["decided_by"]["inputs"]["memory bank"]
    assert main(["predict", str(run), "--set", f"memory.path={tmp_path}/none", "--out", str(run / "x.json")]) == 2
    assert "none/bank.json: memory bank not found" in capsys.readouterr().err


def test_the_manifest_names_device_and_parents(tiny, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    verbs.train(str(tiny), out=str(first))
    verbs.train(str(tiny), out=str(second), set_=[f"captioner.init={first / 'last'}"])
    manifest = read_json(second / "manifest.json")
    assert manifest["parents"] == {"captioner.init": read_json(first / "manifest.json")["run"]}
    assert manifest["device"]["kind"] in ("cpu", "cuda") and "captioner.init" in manifest["decided_by"]["inputs"]
    moved = shutil.move(first, tmp_path / "moved")
    assert origin(tiny, f"captioner.init={moved}/last").differences(manifest["decided_by"]) == []


# predictions and scores

@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A trained run with predictions; read only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    verbs.train(str(tiny), out=str(folder))
    verbs.predict(str(folder))
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_predictions_are_not_replaced_by_those_of_other_settings(run, no_pictures, capsys):
    """hicm 0.1.0 printed the first scores over the second predictions."""
    verbs.evaluate(str(run), metrics=["F1"])
    before = (run / "predictions_val.json").read_bytes()
    other = ["--set", "captioner.decode.grammar=false", "--set", "retrieval.search=none"]
    assert main(["predict", str(run), *other]) == 2
    said = capsys.readouterr().err
    assert "captioner.decode.grammar" in said and "retrieval.search" in said and "--overwrite" in said
    assert (run / "predictions_val.json").read_bytes() == before
    assert main(["predict", str(run), *other, "--overwrite"]) == 0
    page = Path(verbs.report([str(run)], out=str(run / "report"), videos=0)).read_text()
    assert "scores of other predictions" in page and "captioner.decode.grammar=its default" in page
    assert "<td>F1" not in page
    verbs.evaluate(str(run), metrics=["F1"])
    assert "the scores of other predictions are replaced" in capsys.readouterr().err
    assert "scores of other predictions" not in Path(
        verbs.report([str(run)], out=str(run / "report"), videos=0)).read_text()


def test_use_speech_acts_at_prediction(run):
    """hicm 0.1.0 ignored it: the predictions were equal to those with speech."""
    verbs.predict(str(run), set_=["captioner.use_speech=false"], out=str(run / "deaf.json"))
    heard, deaf = (read_json(run / name) for name in ("predictions_val.json", "deaf.json"))
    assert deaf["decided_by"]["settings"]["captioner.use_speech"] is False and heard["results"] != deaf["results"]


def test_features_extracted_anew_are_noticed(run, tiny, tmp_path, capsys):
    config = load_config(tiny)
    store = open_features(config.data.features)
    ids = [*read_json(config.data.annotations["train"][0]), *read_json(config.data.annotations["val"][0])]
    path = write_features(tmp_path / "features.h5", {video: store.read(video) + 1 for video in ids})
    assert main(["predict", str(run), "--set", f"data.features={path}"]) == 2
    assert "features of val has other content" in capsys.readouterr().err


# folders of hicm 0.1.0

@pytest.fixture
def old(golden, tmp_path, monkeypatch):
    """Data, memory, a finished run and an interrupted one (at step 6 of 12) as hicm 0.1.0 at 73166ee left them."""
    with tarfile.open(golden / "run_0_1_0.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_interrupted_run_of_0_1_0_continues_to_its_own_end(old, recwarn):
    assert main(["train", "tiny.yaml", "--out", "interrupted"]) == 0
    expected, found = (load_file(Path(run) / "last" / "model.safetensors") for run in ("run", "interrupted"))
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)
    lines = [[json.loads(line) for line in Path(run, "stats.jsonl").read_text().splitlines()]
             for run in ("run", "interrupted")]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]


def test_a_finished_run_of_0_1_0_predicts_scores_and_reports(old, no_pictures, capsys):
    before = read_json("run/predictions_val.json")["results"]
    assert main(["predict", "run"]) == 2, "its predictions do not say what made them"
    assert "does not say with which settings it was made" in capsys.readouterr().err
    assert main(["predict", "run", "--overwrite"]) == 0
    assert read_json("run/predictions_val.json")["results"] == before
    assert main(["evaluate", "run", "--metrics", "F1"]) == 0 and main(["report", "run", "--videos", "1"]) == 0
    assert main(["train", "tiny.yaml", "--out", "run", "--set", "train.lr=0.5"]) == 2
    assert "train.lr is 0.001 there and 0.5 here" in capsys.readouterr().err


def test_a_run_of_0_1_0_is_found_under_its_former_name(old):
    Path("presave/runs").mkdir(parents=True)
    shutil.move("interrupted", "presave/runs/tiny-226a8c2e")
    shutil.copytree("run", "presave/runs/tiny-00000000")
    Path("presave/runs/tiny-00000000/manifest.json").write_text(
        Path("run/manifest.json").read_text().replace("b030826c", "00000000"))
    assert verbs.train("tiny.yaml") == Path("presave/runs/tiny-226a8c2e")
