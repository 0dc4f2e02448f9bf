"""Calibration of decoding: what is tried, on which videos, what is written, and what is refused."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hicm import verbs
from hicm.config import load_config, save_config
from hicm.data.annotations import read_split
from hicm.evaluation.measures import Measure, mean_of_means
from hicm.files import read_json
from hicm.recipes.calibration.plan import make_plan
from hicm.recipes.calibration.run import Trial, sure_of
from hicm.recipes.calibration.table import choice
from hicm.recipes.calibration.unseen import unseen_difference
from hicm.stages.predict import predict
from tests.scripts import load_script
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A captioner, and videos that were held out; read only."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny = make_tiny(folder, videos=10, train__epochs=1, train__eval_every=0, data__holdout=0.4, train__lr=0.01,
                     retrieval__search="none")
    return verbs.train(str(tiny), out=str(folder / "run"))


@pytest.fixture(scope="module")
def calibrate():
    return load_script("calibrate").main


TRIED = ["--try", "event_bias=-4,0,4", "word_bias=1", "--drop", "0.5", "--samples", "50"]


@pytest.fixture(scope="module")
def done(run, calibrate, tmp_path_factory):
    """A finished calibration; read only."""
    out = tmp_path_factory.mktemp("out") / "calibration"
    assert calibrate([str(run), *TRIED, "--out", str(out)]) == 0
    return out


def test_every_setting_is_tried_beside_the_best_so_far_and_the_best_is_named(run, done):
    found = read_json(done / "calibration.json")
    trials, best = found["trials"], found["best"]
    plain = [trial for trial in trials if "confidence" not in trial["settings"]]
    assert [trial["settings"] for trial in plain[:3]] == [{}, {"event_bias": "-4"}, {"event_bias": "4"}], "0 is its own"
    first = max(trials[:6], key=lambda one: one["scores"]["soda_c"])["settings"]
    kept = {name: value for name, value in first.items() if name == "event_bias"}
    assert [trial["settings"] for trial in plain[3:]] == [kept | {"word_bias": "1"}]
    for trial, sure in zip(trials[::2], trials[1::2], strict=True):
        threshold = sure["settings"]["min_confidence"]
        assert sure["settings"] == trial["settings"] | {"confidence": "both", "min_confidence": threshold}
        assert 0 <= float(threshold) < 1 and sure["events"] <= trial["events"]
    assert best["scores"]["soda_c"] == max(trial["scores"]["soda_c"] for trial in trials)
    assert best["settings"] in [trial["settings"] for trial in trials]
    assert found["set"] == [f"captioner.decode.{name}={value}" for name, value in best["settings"].items()]
    own, few, many = (trial["events"] for trial in plain[:3])
    assert few <= own <= many and few < many
    assert found["about"]["split"] == "holdout" and found["signature"]
    assert found["about"]["run"] == f"{run.parent.name}/run", "other runs are called run, too"
    text = (done / "table.md").read_text()
    assert text.count("\n| ") == 1 + len(trials) and "| annotated |" in text
    assert "**" in text or "Nothing that was tried" in text
    assert f"Run `{run.parent.name}/run`" in text


def test_a_choice_is_measured_on_videos_that_did_not_make_it():
    """The second trial is lucky with the two videos of the first fold, the third is a little better everywhere."""
    def measure(rows):
        return Measure("soda_c", np.stack([rows, np.ones(10)], 1), mean_of_means)

    base, lucky, steady = np.full(10, 0.2), np.where(np.arange(10) % 5 == 0, 0.9, 0.1), np.full(10, 0.25)
    assert unseen_difference([{"soda_c": measure(base)}] * 2, "soda_c") == {"soda_c": 0.0}
    found = unseen_difference([{"soda_c": measure(rows)} for rows in (base, lucky, steady)], "soda_c")
    # the two videos of fold 0 are not among those that choose for it, so that steady is taken; for all others, lucky
    assert found["soda_c"] == pytest.approx((2 * 0.25 + 8 * 0.1) / 10 - 0.2)
    assert unseen_difference([{"soda_c": replace(measure(base), statistics=np.ones((4, 2)))}], "soda_c") == {}


def test_annotated_numbers_are_those_of_the_held_out_videos(run, done):
    videos = read_split(load_config(run / "config.yaml").data, "holdout")
    events = [event for video in videos.values() for event in video.events]
    annotated = read_json(done / "calibration.json")["annotated"]
    assert annotated["videos"] == len(videos) and annotated["events"] == pytest.approx(len(events) / len(videos))
    assert annotated["words"] == pytest.approx(sum(len(event.text.split()) for event in events) / len(events))


def test_what_is_left_out_is_what_prediction_leaves_out(run, done, tmp_path):
    """The last trial filters what was predicted; `hicm predict` with its settings gives the same."""
    *_, last = read_json(done / "calibration.json")["trials"]
    settings = [f"captioner.decode.{name}={value}" for name, value in last["settings"].items()]
    found = read_json(predict(run, "holdout", out=tmp_path / "p.json", overrides=settings))["results"]
    assert sum(map(len, found.values())) / len(found) == pytest.approx(last["events"])
    whole = read_json(predict(run, "holdout", out=tmp_path / "w.json", overrides=settings[:-1]))["results"]
    assert sure_of(whole, float(last["settings"]["min_confidence"])) == found != whole


@pytest.mark.parametrize("name", ["calibrate", "explain_memory", "bench_length"])
def test_settings_may_be_given_together_or_one_by_one(name):
    read = load_script(name).parser().parse_args
    assert read(["run", "--set", "a=1", "b=2", "--set", "c=3"]).set == ["a=1", "b=2", "c=3"]
    assert read(["run"]).set == []


def test_values_of_a_setting_add_up():
    script = load_script("calibrate")
    asked = script.parser().parse_args(["run", "--try", "a=1", "b=2", "--try", "a=3,4"])
    assert script.read_tried(asked.tried) == {"a": ["1", "3", "4"], "b": ["2"]}


def test_the_command_that_is_advised_has_all_settings(run):
    trial = Trial({"confidence": "both", "min_confidence": "0.3"}, 1.0, 1.0)
    plan = replace(make_plan(run, "holdout"), overrides=("data.longest=60",))
    found = SimpleNamespace(best=trial, versus={}, unseen={}, trials=(trial,), videos=4, signature="s", overrides=[
        "captioner.decode.confidence=both", "captioner.decode.min_confidence=0.3"])
    assert choice(found, plan).endswith("hicm predict RUN --set data.longest=60 --set captioner.decode.confidence=both "
                                        "--set captioner.decode.min_confidence=0.3")


def test_it_continues_with_what_was_captioned(run, calibrate, done, capsys):
    before = {path: path.stat().st_mtime_ns for path in done.glob("predictions_*")}
    content = read_json(done / "calibration.json")
    assert calibrate([str(run), *TRIED, "--out", str(done)]) == 0
    assert {path: path.stat().st_mtime_ns for path in done.glob("predictions_*")} == before
    again = read_json(done / "calibration.json")
    assert {**again, "date": ""} == {**content, "date": ""}
    assert "as the run has it: SODA_c" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [
    (["--split", "val"], "--split val: is the split that the run reports, and settings chosen on it make its"),
    (["--split", "train"], "--split train: the run was trained on these videos"),
    (["--try", "event_bias"], "--try event_bias: expected NAME=VALUE,VALUE"),
    (["--try", "event_bais=1"], "the nearest known one is captioner.decode.event_bias"),
    (["--try", "event_bias=much"], "captioner.decode.event_bias"),
    (["--try", "min_confidence=0.5"], "--try min_confidence: what is unsure is left out with --drop"),
    (["--drop", "1.5"], "--drop: expected shares between 0 and 1, found 1.5"),
    (["--samples", "0"], "samples is 0, expected 1 or more"),
    (["--set", "captioner.decode.confidence=both", "captioner.decode.min_confidence=0.3"],
     "leaves out unsure events already (captioner.decode.min_confidence=0.3)"),
    (["--protocol", "hicn"], "protocol 'hicn' is unknown"),
    ([*TRIED, "--set", "captioner.decode.max_tokens=20"], "was made with other values of settings; choose another"),
    (["--protocol", "activitynet-2018", *TRIED], "was made with other values of protocol; choose another --out"),
    ([*TRIED, "--try", "word_bias=1"], "was made with other values of tried; choose another --out"),
    ([*TRIED, "--drop", "0.5", "0.6"], "was made with other values of dropped; choose another --out"),
    ([*TRIED, "--confidence", "words"], "was made with other values of confidence; choose another --out"),
    ([*TRIED, "--samples", "60"], "was made with other values of samples; choose another --out")])
def test_what_does_not_fit_is_refused_in_one_line(run, calibrate, done, words, said, capsys):
    before = {path: path.read_bytes() for path in done.iterdir() if path.is_file()}
    assert calibrate([str(run), "--out", str(done), *words]) == 2
    error = capsys.readouterr().err
    assert {path: path.read_bytes() for path in done.iterdir() if path.is_file()} == before
    assert said in error and error.startswith("calibrate: ") and error.count("\n") == 1


def test_the_reported_split_is_taken_where_that_is_asked_for(run, calibrate, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert calibrate([str(run), "--split", "val", "--on-report", "--try", "--drop"]) == 0
    assert "Nothing that was tried has a higher SODA_c" in capsys.readouterr().out
    assert (tmp_path / "presave" / "calibration" / f"{run.parent.name}_run_val" / "table.md").exists()


def test_what_the_run_has_anyway_is_not_tried_however_it_is_written(run, calibrate, tmp_path):
    words = ["--try", "grammar=true", "sample=false", "event_bias=0,0.0", "beams=1", "isolated_time_tokens=drop"]
    assert calibrate([str(run), *words, "--drop", "--out", str(tmp_path)]) == 0
    assert [one["settings"] for one in read_json(tmp_path / "calibration.json")["trials"]] == [{}]


def test_a_run_that_leaves_out_unsure_events_is_scored_as_it_is(run, calibrate, done, tmp_path):
    """Where nothing more is dropped; with --drop, it is refused.  A threshold gives the scores of the trial with it."""
    whole, sure = read_json(done / "calibration.json")["trials"][:2]
    settings = [f"captioner.decode.{name}={value}" for name, value in sure["settings"].items()]
    assert calibrate([str(run), "--try", "--drop", "--out", str(tmp_path), "--set", *settings]) == 0
    own, = read_json(tmp_path / "calibration.json")["trials"]
    assert own == {**sure, "settings": {}} and own["events"] < whole["events"]


@pytest.mark.parametrize(("protocol", "lacking"), [
    ("soda", "F1, CIDEr"), ("soda-multi", "F1, CIDEr"), ("vidchapters-vc", "F1, SODA_c"), ("video-recap", "F1, SODA_c"),
    ("activitynet-2018-corpus-cider", "SODA_c")])
def test_a_protocol_without_the_scores_is_refused_before_anything_is_captioned(run, calibrate, protocol, lacking,
                                                                               tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    config = load_config(run / "config.yaml")
    save_config(replace(config, evaluate=replace(config.evaluate, protocol=protocol)), copy / "config.yaml")
    assert calibrate([str(copy), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"protocol {protocol} has no {lacking}; choose another one with --protocol" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_another_protocol_is_taken_where_that_is_asked_for(run, calibrate, tmp_path):
    copy, out = shutil.copytree(run, tmp_path / "copy"), tmp_path / "out"
    config = load_config(run / "config.yaml")
    save_config(replace(config, evaluate=replace(config.evaluate, protocol="soda")), copy / "config.yaml")
    assert calibrate([str(copy), "--protocol", "activitynet-2018", "--try", "--drop", "--out", str(out)]) == 0
    found = read_json(out / "calibration.json")
    assert found["about"]["protocol"] == "activitynet-2018" and "activitynet-2018" in found["signature"]
    assert set(found["trials"][0]["scores"]) == {"F1_of_means", "soda_c", "CIDEr"}


def test_what_cannot_be_drawn_is_refused_before_anything_is_captioned(run, calibrate, tmp_path, capsys):
    assert calibrate([str(run), "--samples", "0", "--out", str(tmp_path / "out")]) == 2
    assert "samples is 0, expected 1 or more" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_run_without_held_out_videos_and_another_system_are_refused(calibrate, tmp_path, capsys):
    for number, (changes, said) in enumerate([
            ({"data__holdout": 0.0}, "holds no videos out (data.holdout); name a split with --split"),
            ({"system": "recall"}, "is a run of the system recall; only the captioner has these settings")]):
        tiny = make_tiny(tmp_path / str(number), videos=4, train__epochs=1, train__eval_every=0, **changes)
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        (folder / "config.yaml").write_text(tiny.read_text())
        assert calibrate([str(folder)]) == 2
        assert said in capsys.readouterr().err
