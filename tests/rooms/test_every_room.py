"""What holds for every system: settings, training, saving, prediction, and what its files say."""

import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest

from hicm.config import changes, load_config, save_config
from hicm.data.features import open_features, write_features
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.files import read_json, sha256
from hicm.journal import Journal
from hicm.rooms import described_by, is_room, memory_need, quotes_memory, room_module, settings_class, start_files
from hicm.stages.predict import prediction_config
from hicm.stages.retrieve import with_recall
from hicm.stages.run_folder import model_folder
from hicm.stages.video_captioner import VideoCaptioner
from hicm.systems.base import Chooser, Learner, System, find_system
from hicm.tasks import find_task
from tests.rooms.conftest import hicm, options
from tests.video.videos import write_video


def test_the_room_has_what_a_room_has(room, installed):
    assert is_room(room)
    cls, settings = find_system(room), settings_class(room)
    assert issubclass(cls, Learner) or issubclass(cls, Chooser)
    assert dataclasses.is_dataclass(settings) and changes(settings()) == {}
    module = room_module(room, "settings")
    for names in (getattr(module, "PREDICTION_ONLY", ()), getattr(module, "AT_PREDICTION", ())):
        assert set(names) <= {field.name for field in dataclasses.fields(settings)}
    assert start_files(room, settings()) == {}


def test_settings_survive_saving(room, data, tmp_path):
    config = load_config(data, [f"system={room}"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def events_of(system: System, samples) -> dict:
    return {video: events for batch in system.predict(samples) for video, events in batch.items()}


def times_of(events: list) -> list:
    """Of events, or the windows of queries."""
    return [event.windows if hasattr(event, "windows") else [event.span.start, event.span.end] for event in events]


@pytest.fixture
def loaded(trained):
    config = prediction_config(trained)
    return find_system(config.system).load(model_folder(trained), config), config


def val_of(config, trained):
    """The validation samples as the system reads them."""
    return with_recall(config, open_samples(config.data, "val"), "val", trained / "retrieved_val.h5")


def test_a_saved_system_predicts_the_same(loaded, trained, tmp_path):
    system, config = loaded
    samples = val_of(config, trained)
    before = events_of(system, samples)
    assert set(before) == set(samples.ids)
    system.save(tmp_path / "again", run="x")
    assert described_by(tmp_path / "again") == config.system
    again, form = events_of(type(system).load(tmp_path / "again", config), samples), find_task(system.task).to_json
    assert {video: form(events) for video, events in again.items()} == {
        video: form(events) for video, events in before.items()}


def test_the_batch_changes_nothing(loaded, trained):
    """Not its composition, and not the padding that it brings."""
    system, config = loaded
    samples = val_of(config, trained)
    together = events_of(system, samples)
    alone = {video: events for row in range(len(samples)) for video, events in
             events_of(system, samples.take([row])).items()}
    backwards = events_of(system, samples.take(range(len(samples))[::-1]))
    for video, events in together.items():
        for others in (alone[video], backwards[video]):
            assert [event.text for event in events] == [event.text for event in others]
            np.testing.assert_allclose(times_of(events), times_of(others), atol=1e-4)


def test_training_twice_gives_equal_bytes(trained, room, data, tmp_path):
    assert hicm("train", data, *options(room), "--out", tmp_path / "run") == 0
    for path in sorted(model_folder(trained).rglob("*")):
        if path.is_file():
            other = model_folder(tmp_path / "run") / path.relative_to(model_folder(trained))
            assert path.read_bytes() == other.read_bytes(), path.name
    path, finished = tmp_path / "run" / "manifest.json", "2020-01-01T00:00:00+00:00"
    path.write_text(json.dumps(read_json(path) | {"finished": finished}))
    assert hicm("train", data, *options(room), "--out", tmp_path / "run") == 0, "done: nothing happens"
    assert read_json(path)["finished"] == finished


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_predictions_are_scored_reported_and_say_what_made_them(run, capsys):
    assert hicm("predict", run) == 0
    content = read_json(run / "predictions_val.json")
    assert content["decided_by"]["inputs"].keys() >= {"model", "features of val", "videos of val"}
    task = find_system(load_config(run / "config.yaml").system).task
    assert content["identity"] and content["task"] == task and content["run"] in (run / "manifest.json").read_text()
    before = sha256(run / "predictions_val.json")
    assert hicm("predict", run) == 0 and sha256(run / "predictions_val.json") == before
    assert hicm("evaluate", run, "--metrics", *{"dvc": ["F1", "soda_d"], "moments": ["mIoU"]}[task]) == 0
    metrics = read_json(run / "metrics_val.json")
    assert metrics["predictions"] == {"file": "predictions_val.json", "sha256": before, "identity": content["identity"]}
    assert hicm("report", run, "--out", run / "report", "--videos", "1") == 0
    page = (run / "report" / "index.html").read_text()
    assert "predict again" not in page and {"dvc": "Dense video captions of", "moments": "Moments of"}[task] in page
    capsys.readouterr()
    assert hicm("predict", run, "--set", "data.frames=19") in (0, 2)
    assert hicm("predict", run, "--set", "data.frames=19", "--out", run / "other.json") == 0
    assert sha256(run / "predictions_val.json") == before


def test_an_interrupted_prediction_continues(run, monkeypatch):
    """Killed after its first batch, it ends with the very file of an uninterrupted one, and asks for the rest only."""
    assert hicm("predict", run, "--out", run / "whole.json") == 0
    config = load_config(run / "config.yaml")
    cls, asked = find_system(config.system), []
    real = cls.predict

    def stops(self, samples, device="cpu"):
        asked.append(set(samples.ids))
        for number, batch in enumerate(real(self, samples, device)):
            if number == 1 and len(asked) == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(cls, "predict", stops)
    assert hicm("predict", run, "--out", run / "broken.json") == 130
    journal = run / ".broken.json.part"
    journal.write_text(journal.read_text() + '{"identity": "half a li')
    assert not (run / "broken.json").exists() and hicm("predict", run, "--out", run / "broken.json") == 0
    assert asked[1] < asked[0] and not journal.exists()
    whole, broken = (read_json(run / name)["results"] for name in ("whole.json", "broken.json"))
    assert whole == broken and list(whole) == list(broken)


def test_given_events_are_worded_or_refused(run, data, capsys):
    config = load_config(data)
    [truth] = config.data.annotations["val"]
    capsys.readouterr()
    status = hicm("predict", run, "--events", truth, "--out", run / "given.json")
    if not find_system(load_config(run / "config.yaml").system).captions_given:
        assert status == 2 and "describes the events that it finds, not given ones" in capsys.readouterr().err
        assert not (run / "given.json").exists()
        return
    assert status == 0
    given, results = read_json(truth), read_json(run / "given.json")["results"]
    assert {video: [event["timestamp"] for event in events] for video, events in results.items()} == {
        video: one["timestamps"] for video, one in given.items()}
    assert all(event["sentence"].strip() for events in results.values() for event in events)
    assert hicm("evaluate", run / "given.json", truth, "--protocol", "vidchapters-vc", "--metrics", "CIDEr") == 0
    assert "the events were given" in capsys.readouterr().out


def test_features_of_another_width_are_refused(run, data, tmp_path, capsys):
    config = load_config(data)
    store = open_features(config.data.features)
    ids = [video for split in ("train", "val") for video in open_samples(config.data, split).ids]
    wide = {video: np.pad(store.read(video), ((0, 0), (0, 3))) for video in ids}
    path = write_features(tmp_path / "wide.h5", wide)
    capsys.readouterr()
    assert hicm("predict", run, "--set", f"data.features={path}", "--out", tmp_path / "p.json") == 2
    assert "features are 27 wide" in capsys.readouterr().err and not (tmp_path / "p.json").exists()


def test_settings_that_training_decided_are_refused_by_name(run, capsys):
    config = load_config(run / "config.yaml")
    read = getattr(room_module(config.system, "settings"), "AT_PREDICTION", None)
    decided = ["train.seed=7", "system=captioner" if config.system != "captioner" else "train.lr=0.5"]
    if read is not None:
        decided += [f"{config.system}.{field.name}={value}" for field in dataclasses.fields(config.room)
                    if field.name not in read and (value := {int: 3, bool: False}.get(field.type))
                    not in (None, getattr(config.room, field.name))]
    for override in decided:
        capsys.readouterr()
        assert hicm("predict", run, "--set", override, "--out", run / "x.json") == 2
        assert f"--set {override}" in capsys.readouterr().err
    assert not (run / "x.json").exists()


def test_a_damaged_description_is_one_line(run, capsys):
    config = load_config(run / "config.yaml")
    path = model_folder(run) / f"{config.system}.json"
    for content in ("{", "[]", "{}"):
        path.write_text(content)
        capsys.readouterr()
        try:
            assert hicm("predict", run, "--out", run / "x.json") == 2
        except (KeyError, TypeError):
            assert config.system == "throwaway", "the throw-away room checks nothing"
        assert not (run / "x.json").exists()


def test_the_journal_of_other_settings_is_not_mixed_in(run):
    """The mixture that hicm 0.1.0 made of an interrupted prediction and its continuation under other settings."""
    journal = Journal(run / ".mixed.json.part", "another identity")
    journal.add({video: [{"sentence": "not mine", "timestamp": [0, 1]}]
                 for video in open_samples(load_config(run / "config.yaml").data, "val").ids})
    assert hicm("predict", run, "--out", run / "mixed.json") == 0
    assert "not mine" not in json.dumps(read_json(run / "mixed.json")["results"])


def test_one_bad_setting_of_the_room_is_named(room, data, capsys):
    capsys.readouterr()
    assert hicm("train", data, "--set", f"system={room}", "--set", f"{room}.no_such_setting=1") == 2
    assert f"unknown setting {room}.no_such_setting; the nearest known one is " in capsys.readouterr().err


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match=r"system: expected one of .*captioner.*found 'captionr'"):
        find_system("captionr")


def test_a_video_file_is_captioned(trained, room, tmp_path):
    """Without the data set: frames are embedded, the memory is read, nothing happens after the end."""
    if find_system(room).needs_sentences:
        with pytest.raises(UserError, match="finds the moments of given sentences and describes nothing; put them"):
            VideoCaptioner(str(trained), cache=tmp_path / "cache", speech="none")
        return
    video = write_video(tmp_path / "kitchen.mp4", [0.0, 4.0, 9.0], 12.0)
    captioner = VideoCaptioner(str(trained), cache=tmp_path / "cache", speech="none")
    captioned = captioner.caption(video)
    assert captioned.duration == pytest.approx(12.0, abs=0.1)
    assert all(0 <= event.span.start < captioned.duration >= event.span.end for event in captioned.events)
    assert captioner.events(video) == captioned.events
    assert "model" in captioned.about["decided_by"]["inputs"]
    answers = quotes_memory(captioner.config.system) or memory_need(captioner.config) == "tokens"
    assert bool(captioned.recalled) == answers and all(part.nodes for part in captioned.recalled)
    captioner.window = 5.0
    again = captioner.caption(video)
    assert all(0 <= event.span.start < event.span.end <= captioned.duration for event in again.events)
    spans = [part.span for part in again.recalled]
    assert all(one.start < one.end <= other.start for one, other in itertools.pairwise(spans))
    assert not answers or spans[0].start < 5 < spans[-1].end <= captioned.duration, "in seconds of the whole video"
