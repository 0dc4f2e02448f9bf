"""hicm predict --events: what the predictions say, when they are refused, and what becomes of videos without events."""

import csv
import gzip
import shutil
import warnings

import pytest

from hicm import verbs
from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.stages.predict import predict
from hicm.stages.record import Record
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, system="recall")


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A run of the recall system; read only."""
    return verbs.train(str(tiny), out=str(tmp_path_factory.mktemp("run") / "mine"))


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "mine")


@pytest.fixture
def truth(tiny, tmp_path):
    return shutil.copyfile(tiny.parent / "data" / "val.json", tmp_path / "true.json")


def spans_of(path):
    return {video: [event["timestamp"] for event in events] for video, events in read_json(path)["results"].items()}


def test_oracle_boundaries_are_one_command(run, truth):
    verbs.predict(str(run))
    own = sha256(run / "predictions_val.json")
    made = verbs.predict(str(run), events=str(truth))
    assert made == run / "predictions_val.true.json" and sha256(run / "predictions_val.json") == own
    assert spans_of(made) == {video: one["timestamps"] for video, one in read_json(truth).items()}
    assert read_json(made)["given_events"] == {"file": "true.json", "sha256": sha256(truth)}
    scores = verbs.evaluate(str(run), events=str(truth), protocol=["vidchapters-vc", "vidchapters"],
                            metrics=["CIDEr", "F1"])
    assert scores.results[0].scores["CIDEr"] > 0 and scores.results[1].scores["F1"] == 1.0
    written = read_json(run / "metrics_val.true.json")
    assert any("the events were given (true.json)" in line for line in written["warnings"])
    assert not (run / "metrics_val.json").exists()
    [plain] = verbs.evaluate(str(run), metrics=["F1"]).results
    assert not any("given" in line for line in plain.warnings), "its own events"


def test_another_systems_events_come_from_its_run_folder(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "cm2")
    with pytest.raises(UserError, match=f"make them with 'hicm predict {other} --split val'"):
        predict(run, events=str(other))
    verbs.predict(str(other), set_=["recall.penalty=0.5", "recall.threshold=-1"])
    made = predict(run, events=str(other))
    assert made.name == "predictions_val.cm2.json"
    assert spans_of(made) == spans_of(other / "predictions_val.json")
    assert all(event["score"] for events in read_json(made)["results"].values() for event in events)


def test_the_times_decide_and_not_the_form_of_their_file(run, truth, tmp_path, capsys):
    made = predict(run, events=str(truth))
    (tmp_path / "true.json.gz").write_bytes(gzip.compress(truth.read_bytes()))
    assert predict(run, events=str(tmp_path / "true.json.gz")) == made
    with open(tmp_path / "rows.csv", "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["video_id", "start", "end", "sentence"])
        for video, one in read_json(truth).items():
            rows.writerows([video, *span, "whatever"] for span in one["timestamps"])
    capsys.readouterr()
    assert predict(run, events=str(tmp_path / "rows.csv"), out=made) == made
    assert "made by these settings and inputs already" in capsys.readouterr().out


def test_predictions_of_other_events_are_not_replaced(run, truth):
    made, content = predict(run, events=str(truth)), read_json(truth)
    before = sha256(made)
    next(iter(content.values()))["timestamps"][0][1] += 1.0
    write_json(truth, content)
    with pytest.raises(UserError, match=r"events given for val has other content.*--overwrite"):
        predict(run, events=str(truth))
    with pytest.raises(UserError, match="events given for val was not read there"):
        predict(run, events=str(truth), out=predict(run))
    with pytest.raises(UserError, match="events given for val is not read here"):
        predict(run, out=made)
    assert sha256(made) == before
    predict(run, events=str(truth), overwrite=True)
    assert spans_of(made) == {video: one["timestamps"] for video, one in content.items()}


def test_an_interrupted_prediction_of_other_events_is_not_continued(run, truth, monkeypatch):
    with monkeypatch.context() as kept:
        kept.setattr(Record, "remove", lambda self: None)
        first = predict(run, events=str(truth))
    assert first.with_name(f".{first.name}.part").exists()
    content = read_json(truth)
    for one in content.values():
        one["timestamps"] = [[start + 0.5, end] for start, end in one["timestamps"]]
    write_json(truth, content)
    first.unlink()
    assert spans_of(predict(run, events=str(truth))) == {video: one["timestamps"] for video, one in content.items()}


def test_videos_without_given_events_are_named_and_counted(run, truth):
    content = read_json(truth)
    first, second, third = content
    given = {"results": {second: [], third: [{"sentence": "", "timestamp": [90, 500]},
                                             {"sentence": "x", "timestamp": [5, 5]}], "elsewhere": []}}
    write_json(truth, given)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = predict(run, events=str(truth))
    assert any(f"has no events of 1 of 3 videos of split val, which are not captioned: {first}" in str(one.message)
               for one in caught)
    assert spans_of(made) == {second: [], third: [[90.0, 500.0], [5.0, 5.0]]}


def test_events_of_no_video_of_the_split_are_refused(run, truth, tiny):
    train = tiny.parent / "data" / "train.json"
    with pytest.raises(UserError, match=f"{train}: has events of no video of split val: train.json has "):
        predict(run, events=str(train))
    with pytest.raises(UserError, match=r"nowhere.json: .*correct --events"):
        predict(run, events="nowhere.json")
    write_json(truth, {"a": 3})
    with pytest.raises(UserError, match=r"true.json"):
        predict(run, events=str(truth))
    assert not list(run.glob("predictions*"))


def test_the_events_are_never_replaced_by_their_captions(run):
    own = predict(run)
    before = sha256(own)
    with pytest.raises(UserError, match="holds the events, which would be lost; choose another --out"):
        predict(run, events=str(own), out=own, overwrite=True)
    assert sha256(own) == before


def test_a_format_that_is_named_is_used(run, truth):
    made = predict(run, events=str(truth), format="annotations")
    assert spans_of(made) == {video: one["timestamps"] for video, one in read_json(truth).items()}
    with pytest.raises(UserError, match=r"true.json: not in the format timechat"):
        predict(run, events=str(truth), format="timechat", out=run / "other.json")
    with pytest.raises(UserError, match="--format timechat: is the format of the file after --events"):
        predict(run, format="timechat")


def test_scores_of_given_events_that_were_not_captioned_say_how_to_make_them(run, truth):
    with pytest.raises(UserError, match=f"make them with 'hicm predict {run} --events {truth}'"):
        verbs.evaluate(str(run), events=str(truth))
    with pytest.raises(UserError, match=r"--events .* is for a run folder"):
        verbs.evaluate(str(truth), [str(truth)], events=str(truth))
