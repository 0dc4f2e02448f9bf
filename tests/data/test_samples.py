"""Samples of a split and of single videos: what a system is given."""

import math

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.samples import MemoryTokens, SampleList, open_samples, single_sample
from hicm.data.speech import Speech
from hicm.errors import UserError
from hicm.retrieval.store import open_retrieved
from hicm.stages.predict import prediction_config
from hicm.stages.run_folder import model_folder
from hicm.stages.train import train
from hicm.systems.base import find_system
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=3, train__epochs=1, train__eval_every=1)


def test_a_split_is_read_when_it_is_asked_for(tiny):
    config = load_config(tiny)
    asked = []

    def recall(video):
        asked.append(video)
        return MemoryTokens(np.ones((2, 24), np.float32), np.ones(2, bool), np.zeros((2, 3), np.int32))

    samples = open_samples(config.data, "val", recall)
    assert len(samples) == len(samples.ids) == 3 and samples.width == 24 and asked == []
    sample = samples[1]
    assert asked == [sample.id] == [samples.ids[1]] and sample.recalled.vectors.shape == (2, 24)
    assert sample.rows.shape == (int(sample.duration), 24) and sample.seconds_per_row == 1
    assert sample.events and samples.speech_of(1) == (sample.speech, sample.duration)
    assert samples.take([2, 0]).ids == (samples.ids[2], samples.ids[0])
    assert samples.with_recall(None)[1].recalled is None
    with pytest.raises(IndexError):
        samples[3]


def test_rows_per_second_are_told(tiny):
    for rate, seconds in (("0.5", 2.0), ("1.0", 1.0), ("2.0", 1.0)):
        samples = open_samples(load_config(tiny, [f"data.feature_fps={rate}"]).data, "val")
        assert samples[0].seconds_per_row == seconds
    every = open_samples(load_config(tiny, ["data.feature_fps=2", "data.feature_rows=all"]).data, "val")[0]
    assert every.seconds_per_row == 0.5 and len(every.rows) == int(every.duration)


@pytest.mark.parametrize("rows", [np.zeros((0, 4)), np.zeros(4), np.full((2, 4), math.nan)])
def test_a_single_video_needs_features(rows):
    with pytest.raises(UserError, match=r"video mine: expected features \[rows, width\]"):
        single_sample("mine", rows)


def test_videos_of_two_encoders_are_refused():
    with pytest.raises(UserError, match=r"different widths .4, 8."):
        SampleList([single_sample("a", np.ones((3, 4))), single_sample("b", np.ones((3, 8)))])


def test_a_single_video_is_captioned_like_one_of_a_split(tiny, tmp_path):
    """No annotation file, no store: the way for people's own videos."""
    run = train(load_config(tiny), "tiny", tmp_path / "run")
    config = prediction_config(run)
    system = find_system(config.system).load(model_folder(run), config)
    samples = open_samples(config.data, "val", open_retrieved(run / "retrieved_val.h5").tokens)
    expected = {video: events for batch in system.predict(samples) for video, events in batch.items()}
    for row, video in enumerate(samples.ids):
        one = samples[row]
        mine = single_sample("mine", one.rows, duration=one.duration, speech=Speech(one.speech.start, one.speech.end,
                                                                                    one.speech.text),
                             recalled=one.recalled)
        (found,) = system.predict(SampleList([mine]))
        assert [event.text for event in found["mine"]] == [event.text for event in expected[video]]
