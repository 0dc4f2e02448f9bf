"""Results that were once wrong in silence, or advice that did not work: each as it was found."""

import shutil
from pathlib import Path

import pytest

from hicm import verbs
from hicm.cli import main
from hicm.config import load_config
from hicm.data.speech import open_speech
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.recipes.ablation.run import Ablation, run_ablation
from hicm.rooms import room_package, start_files
from hicm.stages.origins import training_origin, training_samples
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, train__epochs=1, train__eval_every=1)


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    """Trained runs by what they recall, and the recall system; read only."""
    folder = tmp_path_factory.mktemp("runs")
    for name, change in (("descend", "retrieval.search=descend"), ("none", "retrieval.search=none"),
                         ("zero", "retrieval.search=zero"), ("recall", "system=recall")):
        verbs.train(str(tiny), out=str(folder / name), set_=[change])
    return folder


@pytest.fixture
def run(runs, tmp_path):
    return shutil.copytree(runs / "descend", tmp_path / "run")


def test_an_empty_preset_takes_the_preset_away(tmp_path):
    path = tmp_path / "q.yaml"
    path.write_text("preset: released\nretrieval: {search: flat}\ncaptioner: {objective: }\n")
    for override in ("preset=", "preset=null", "preset=''"):
        config = load_config(path, [override])
        assert (config.preset, config.retrieval.search, config.retrieval.tail) == ("", "flat", "spread")
    assert load_config(path).room.objective.denoising_memory == "requeried", "an empty section takes nothing away"
    with pytest.raises(UserError, match="found nothing after the section train"):
        load_config(None, ["train="])


def test_the_protocol_that_selects_decides_a_training(tiny):
    origins = [training_origin(load_config(tiny, more), training_samples(load_config(tiny, more)))
               for more in ([], ["evaluate.protocol=hicm"])]
    assert origins[1].differences(origins[0].to_json()) == ["evaluate.protocol is the default there and 'hicm' here"]


def test_words_of_settings_are_no_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("scratch", "train"):
        (tmp_path / name).mkdir()
    config = load_config(None, ["captioner.t5=scratch", "captioner.tokenizer=train"])
    assert start_files("captioner", config.room) == {}


def test_speech_that_tells_a_duration_is_known_by_it(tmp_path):
    found = []
    for seconds in (10.0, 20.0):
        path = write_json(tmp_path / "asr.json", {"v": {"start": [0], "end": [1], "text": ["a"], "duration": seconds}})
        found.append(open_speech(path).fingerprint(["v"]))
    assert found[0] != found[1]


def test_a_captioner_without_memory_does_not_pretend_to_read_one(runs, tmp_path, capsys):
    assert main(["predict", str(runs / "none"), "--set", "retrieval.search=descend", "--out",
                 str(tmp_path / "p.json")]) == 2
    assert "was trained without a memory and cannot read one" in capsys.readouterr().err


@pytest.mark.parametrize("override", ["memory.summariser=centroid", "memory.encoder=hashing:9", "data.train=val",
                                      "data.holdout=0.2", "train.seed=3"])
def test_what_prediction_does_not_read_is_refused(run, capsys, override):
    assert main(["predict", str(run), "--set", override]) == 2
    assert f"--set {override}: training decided" in capsys.readouterr().err


def test_a_chosen_setting_can_be_set_back(runs, tmp_path):
    """To the very value that training was asked with, too."""
    run = shutil.copytree(runs / "recall", tmp_path / "run")
    chosen = load_config(run / "config.yaml").room
    verbs.predict(str(run), set_=["recall.threshold=1.0"], out=str(tmp_path / "none.json"))
    assert not any(read_json(tmp_path / "none.json")["results"].values())
    asked = load_config(None, ["system=recall"]).room
    assert chosen != asked
    verbs.predict(str(run), set_=[f"recall.{name}={value}" for name, value in vars(asked).items() if name != "writing"],
                  out=str(tmp_path / "asked.json"))
    assert not read_json(tmp_path / "asked.json")["decided_by"]["settings"].keys() & {
        f"recall.{name}" for name in vars(asked)}, "all at their defaults"


@pytest.mark.parametrize("name", ["descend", "none", "zero", "recall"])
def test_the_report_does_not_cry_wolf(runs, tmp_path, no_pictures, name):
    run = shutil.copytree(runs / name, tmp_path / "run")
    verbs.predict(str(run))
    page = Path(verbs.report([str(run)], out=str(tmp_path / "report"), videos=0)).read_text()
    assert "predictions were made with" not in page
    if name != "recall":
        verbs.predict(str(run), set_=["data.frames=10"], overwrite=True)
        page = Path(verbs.report([str(run)], out=str(tmp_path / "report"), videos=0)).read_text()
        assert "predictions were made with data.frames=10" in page


def test_overwrite_does_what_the_error_promises(run, capsys):
    verbs.predict(str(run))
    for change in ("retrieval.search=flat", "data.frames=10"):
        assert main(["predict", str(run), "--set", change]) == 2 and "--overwrite" in capsys.readouterr().err
        assert main(["predict", str(run), "--set", change, "--overwrite"]) == 0


def test_overwrite_takes_no_other_file(run, tiny, tmp_path, capsys):
    """Predictions once took the place of annotations, and recalled vectors that of features."""
    data = shutil.copytree(tiny.parent / "data", tmp_path / "data")
    (tmp_path / "link.json").symlink_to(data / "val.json")
    (tmp_path / "link.h5").hardlink_to(data / "features.h5")
    before = {path: path.read_bytes() for path in [*data.iterdir(), run / "config.yaml"]}
    for out in (data / "val.json", tmp_path / "link.json", data / "features.h5", run / "config.yaml"):
        assert main(["predict", str(run), "--out", str(out), "--overwrite"]) == 2
        assert capsys.readouterr().err.endswith(
            f"{out}: exists and holds no predictions; choose another --out, or remove it\n")
    own = ["--set", f"data.features={data / 'features.h5'}", "--set", f"data.annotations.val={data / 'val.json'}"]
    for out in (data / "features.h5", tmp_path / "link.h5", data / "val.json"):
        assert main(["retrieve", str(tiny), "--out", str(out), "--overwrite", *own]) == 2
        assert "which would be lost; choose another --out" in capsys.readouterr().err
    assert main(["retrieve", str(tiny), "--out", str(data / "train.json"), "--overwrite"]) == 2
    assert "not a file of recalled vectors" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_an_ablation_notices_another_model(run, runs):
    grid = Ablation(("zero",), ("own",), metrics=("F1",), samples=20)
    run_ablation(str(run), None, grid)
    first = read_json(run / "ablation" / "zero" / "predictions_val.json")["decided_by"]["inputs"]["model"]
    shutil.rmtree(run / "best")
    shutil.copytree(runs / "zero" / "best", run / "best")
    with pytest.raises(UserError, match=r"holds other predictions .*model has other content"):
        run_ablation(str(run), None, grid)
    assert first == read_json(run / "ablation" / "zero" / "predictions_val.json")["decided_by"]["inputs"]["model"]


def test_one_damaged_run_stops_no_other(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torn = Path("presave/runs/tiny-old")
    torn.mkdir(parents=True)
    (torn / "manifest.json").write_text("{")
    (torn / "config.yaml").touch()
    assert verbs.train(str(tiny)).parent == Path("presave/runs")


def test_scores_replace_what_is_no_scores(run, tmp_path):
    """In the run, where the name is theirs; elsewhere the file may be anything."""
    verbs.predict(str(run))
    (run / "metrics_val.json").write_text("{")
    verbs.evaluate(str(run), metrics=["F1"])
    assert "F1" in read_json(run / "metrics_val.json")["scores"]
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(UserError, match=r"m\.json: exists and holds no scores; choose another --out"):
        verbs.evaluate(str(run), metrics=["F1"], out=str(tmp_path / "m.json"), overwrite=True)
    assert (tmp_path / "m.json").read_text() == "{"


def test_a_broken_system_of_another_package(tmp_path, monkeypatch, run, capsys):
    """It is named in one line where it is asked for, and harms nothing else."""
    info = tmp_path / "site" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hicm.systems]\nbroken = no_such_package_at_all\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    room_package.cache_clear()
    assert main(["train", "yc2", "--set", "system=broken", "--dry-run"]) == 2
    assert "no_such_package_at_all of group hicm.systems, which cannot be imported" in capsys.readouterr().err
    assert main(["push", str(run), "us/mine", "--dry-run"]) == 0
    assert main(["predict", str(run)]) == 0
