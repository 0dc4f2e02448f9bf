"""Long videos in parts: what a part holds, what hicm predict makes of parts, and what it refuses."""

import dataclasses

import numpy as np
import pytest

from hicm import verbs
from hicm.config import DataConfig, load_config
from hicm.data.features import open_features, write_features
from hicm.data.samples import SplitSamples, open_samples
from hicm.data.speech import SpeechStore
from hicm.decisive import training_settings
from hicm.errors import UserError
from hicm.files import read_json
from hicm.retrieval.store import open_retrieved
from hicm.stages.parts import Part, by_video, in_parts
from hicm.stages.predict import predict
from hicm.systems.recall.system import System
from hicm.types import Span, Video
from tests.tiny import make_tiny

RUN_SETTINGS = ["recall.threshold=-1", "recall.penalty=0.5"]  # so that every video has events


@pytest.fixture
def samples(tmp_path):
    """A video of 100.5 seconds with three scenes and two sentences, one of 30, and one with features of its half."""
    rows = {"long": np.repeat(np.eye(3), [35, 33, 32], axis=0), "short": np.ones((30, 3)), "half": np.eye(50, 3)}
    videos = {"long": Video("long", 100.5, ()), "short": Video("short", 30.0, ()), "half": Video("half", 100.0, ())}
    said = {"long": {"start": [1.0, 66.5, 72.0], "end": [5.0, 69.0, 74.0], "text": ["one", "as it ends", "two"]},
            "short": {"start": [29.0], "end": [float("inf")], "text": ["to the end"]}}
    return SplitSamples(videos, open_features(write_features(tmp_path / "features.h5", rows)), SpeechStore.of(said))


def test_parts_have_their_own_rows_speech_and_seconds(samples):
    found, parts = in_parts(samples, 50.0)
    assert list(parts) == ["long/1", "long/2", "long/3", "short", "half"], "no video can be called long/1"
    spans = [parts[name].span for name in ("long/1", "long/2", "long/3")]
    assert spans == [Span(0, 35), Span(35, 64), Span(64, 100.5)], "where a scene ends, and not while somebody speaks"
    one, two, three = (found[row] for row in range(3))
    assert [len(one.rows), len(two.rows), len(three.rows)] == [35, 29, 36]
    assert np.array_equal(np.concatenate([one.rows, two.rows, three.rows]), samples[0].rows)
    assert (one.duration, two.duration, three.duration) == (35, 29, 36.5) and two.events == ()
    assert one.speech.text == ("one",) and two.speech.text == () and three.speech.start == (2.5, 8.0)
    assert found[3].speech == samples[1].speech and found[3].duration == 30
    assert found.width == 3 and "long/2" in found.features and "long" not in found.features


def test_a_video_whose_features_end_early_has_no_part_without_any(samples):
    found, parts = in_parts(samples, 20.0)
    own = [row for row, name in enumerate(parts) if parts[name].video == "half"]
    assert all(len(found[row].rows) for row in own) and sum(len(found[row].rows) for row in own) == 50
    assert found[own[-1]].duration > 20 and list(parts.values())[own[-1]].span.end == 100


def test_nothing_changes_where_nothing_is_cut(samples):
    assert in_parts(samples, 0.0) == (samples, {}) and in_parts(samples, 101.0) == (samples, {})
    with pytest.raises(UserError, match=r"data.longest: expected 0 \(videos are not cut\) or at least 10 seconds, f"):
        in_parts(samples, 9.0)


def test_other_cuts_are_other_features(samples):
    (one, _), (two, _) = in_parts(samples, 50.0), in_parts(samples, 70.0)
    assert one.features.fingerprint(["long/1"]) != two.features.fingerprint(["long/1"])
    assert one.features.fingerprint(["long/1"]) == in_parts(samples, 50.0)[0].features.fingerprint(["long/1"])


def test_what_parts_got_is_put_together_in_order():
    parts = {name: Part(name[0], Span(0, 1)) for name in ("a/1", "a/2", "b")}
    assert by_video({"b": [3], "a/2": [2], "a/1": [1]}, parts) == {"a": [1, 2], "b": [3]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, system="recall")


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return verbs.train(str(tiny), out=str(tmp_path_factory.mktemp("run") / "mine"))


def test_predictions_in_parts_say_so_and_are_in_seconds_of_the_video(run, tmp_path):
    whole = read_json(predict(run, out=tmp_path / "whole.json", overrides=RUN_SETTINGS))
    cut = read_json(predict(run, out=tmp_path / "cut.json", overrides=[*RUN_SETTINGS, "data.longest=30"]))
    uncut = read_json(predict(run, out=tmp_path / "uncut.json", overrides=[*RUN_SETTINGS, "data.longest=1000"]))
    assert "data.longest" not in whole["decided_by"]["settings"] and cut["decided_by"]["settings"]["data.longest"] == 30
    assert cut["results"].keys() == whole["results"].keys() and uncut["results"] == whole["results"]
    samples = open_samples(load_config(run / "config.yaml").data, "val")
    parts = in_parts(samples, 30.0)[1]
    for video, events in cut["results"].items():
        starts = [part.span.start for part in parts.values() if part.video == video]
        times = [event["timestamp"] for event in events]
        assert len(starts) > 2 and times == sorted(times) and times[-1][1] > 60
        assert {start for start, _ in times} >= set(starts), "events of this run begin with the part"
        for start, end in times:
            assert not any(start < border < end for border in starts)


def test_an_interrupted_prediction_continues_with_the_parts_that_are_left(run, tmp_path, monkeypatch):
    settings, asked = [*RUN_SETTINGS, "data.longest=30"], []
    expected = predict(run, out=tmp_path / "one.json", overrides=settings).read_bytes()
    real = System.predict

    def interrupted(self, samples, device="cpu"):
        asked.append(samples.ids)
        for number, events in enumerate(real(self, samples, device)):
            if number == 2 and len(asked) == 1:
                raise KeyboardInterrupt
            yield events

    monkeypatch.setattr(System, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict(run, out=tmp_path / "two.json", overrides=settings)
    assert predict(run, out=tmp_path / "two.json", overrides=settings).read_bytes() == expected
    assert asked[1] == asked[0][2:] and "/" in asked[0][0], "two parts were finished"


def test_what_is_known_of_whole_videos_is_refused_in_parts(run, tiny, tmp_path):
    truth = str(tiny.parent / "data" / "val.json")
    with pytest.raises(UserError, match=r"data\.longest=30: given events cannot be used in parts of a video"):
        predict(run, events=truth, out=tmp_path / "a.json", overrides=["data.longest=30"])
    with pytest.raises(UserError, match="the memory of another video cannot be used in parts"):
        predict(run, memory_of={}, out=tmp_path / "b.json", overrides=["data.longest=30"])


def test_a_training_does_not_depend_on_it(tiny):
    config = load_config(tiny)
    other = dataclasses.replace(config, data=dataclasses.replace(config.data, longest=50.0))
    assert training_settings(other) == training_settings(config) and DataConfig().longest == 0


def test_parts_have_their_own_recall(tiny, tmp_path):
    from hicm.stages.retrieve import with_recall

    config = load_config(tiny, ["system=captioner"])
    samples, parts = in_parts(open_samples(config.data, "val"), 30.0)
    found = with_recall(config, samples, "val", tmp_path / "recalled.h5")
    assert open_retrieved(tmp_path / "recalled.h5").ids == tuple(parts)
    assert all(sample.recalled.mask.sum() == config.retrieval.windows for sample in found)
