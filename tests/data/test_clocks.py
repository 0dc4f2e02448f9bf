"""Rows of features on their clocks: resampled streams, all rows of a store, rows that share the duration."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.clock import Clock, Stream
from hicm.config import Config, DataConfig, dump_config, load_config
from hicm.data.features import open_features, write_features
from hicm.data.joined import open_all
from hicm.data.samples import SplitSamples, open_samples
from hicm.data.speech import SpeechStore
from hicm.data.streams import join_streams, normalise_rows, resample_rows
from hicm.decisive import prediction_settings, training_settings
from hicm.errors import UserError
from hicm.files import write_json
from hicm.rooms import check_settings
from hicm.types import Video

RATES = st.floats(0.05, 30)
COUNTS = st.integers(1, 300)


def middles(rows, fps):
    """The middle of every row in seconds, as features [T, 1]."""
    return ((np.arange(rows, dtype=np.float32) + 0.5) / np.float32(fps))[:, None]


@given(COUNTS, RATES)
def test_equal_rates_change_nothing(rows, fps):
    x = middles(rows, fps)
    np.testing.assert_array_equal(resample_rows(x, fps / fps), x)


@given(COUNTS, st.integers(1, 12))
def test_whole_ratios_are_means_and_repeats(rows, ratio):
    x = np.random.default_rng(rows).standard_normal((rows, 3)).astype(np.float32)
    whole = rows // ratio * ratio
    if whole:
        found = resample_rows(x[:whole], float(ratio))
        np.testing.assert_allclose(found, x[:whole].reshape(-1, ratio, 3).mean(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(resample_rows(x, 1 / ratio), np.repeat(x, ratio, axis=0))


@given(COUNTS, RATES, RATES)
def test_resampled_rows_lie_where_they_are_shown(rows, theirs, ours):
    """A feature that says what time it is says it after resampling, up to half a row of the slower clock."""
    found = resample_rows(middles(rows, theirs), theirs / ours)
    assert found.dtype == np.float32 and (np.diff(found[:, 0]) >= 0).all()
    assert abs(len(found) - rows * ours / theirs) <= 1
    wanted, slower = middles(len(found), ours), 1 / min(theirs, ours)
    assert np.abs(found - wanted).max() <= (0.51 if len(found) > 1 else 1.01) * slower + 1e-3


@given(COUNTS, COUNTS)
def test_any_number_of_rows_is_spread_over_any_other(theirs, ours):
    x = middles(theirs, 1.0)
    found = resample_rows(x, theirs / ours)
    assert len(found) == ours and x.min() <= found.min() and found.max() <= x.max()


@given(COUNTS, RATES, RATES)
def test_what_never_changes_stays(rows, theirs, ours):
    np.testing.assert_allclose(resample_rows(np.full((rows, 2), 0.7, np.float32), theirs / ours), 0.7, rtol=1e-6)


@pytest.mark.parametrize(("per_row", "expected"), [
    (1.5, [0, 1.5, 3, 4]),  # the middle of row 1 lies on an edge, and belongs to the later row
    (2.5, [0.5, 3]),
    (0.75, [0, 1, 1, 2, 3, 4, 4]),
    (10.0, [2]),
])
def test_rows_go_where_their_middles_lie(per_row, expected):
    assert resample_rows(np.arange(5.0)[:, None], per_row)[:, 0].tolist() == expected


@pytest.mark.parametrize(("fps", "rows", "seconds"), [
    (0.5, "thinned", 2), (1, "thinned", 1), (6, "thinned", 1), (0.5, "all", 2), (5, "all", 0.2), (6, "spread", 0.4)])
def test_seconds_per_row(fps, rows, seconds):
    assert Clock(fps, rows).seconds(25, 10.0) == seconds


@pytest.mark.parametrize("fps", [0, -1, math.nan, math.inf])
def test_impossible_rates(fps):
    with pytest.raises(UserError, match=r"data\.feature_fps: expected rows per second > 0"):
        Clock(fps)


@pytest.fixture
def data(tmp_path):
    """Two videos of 9 and 4.5 seconds: a row a second, four rows a second, and a row every two seconds."""
    rng = np.random.default_rng(0)
    seconds = {"v": 9.0, "w": 4.5}
    for name, fps, width in (("one", 1, 3), ("four", 4, 2), ("half", 0.5, 4)):
        write_features(tmp_path / f"{name}.h5", {video: rng.standard_normal((math.ceil(length * fps), width))
                                                 for video, length in seconds.items()})
    write_json(tmp_path / "a.json", {video: {"duration": length, "timestamps": [[0, 1]], "sentences": ["x"]}
                                     for video, length in seconds.items()})
    return tmp_path


def settings(data, features="one", streams=(), **others):
    return DataConfig(annotations={"train": [str(data / "a.json")]}, features=str(data / f"{features}.h5"),
                      streams=[Stream(str(data / f"{name}.h5"), fps) if fps else str(data / f"{name}.h5")
                               for name, fps in streams], **others)


def stored(data, name, video="v"):
    return open_features(data / f"{name}.h5").read(video)


def test_streams_of_other_rates_are_put_on_the_first_clock(data):
    sample, _ = open_samples(settings(data, streams=[("four", 4.0), ("half", 0.5)]), "train")
    assert sample.rows.shape == (9, 9) and sample.seconds_per_row == 1
    four, half = normalise_rows(stored(data, "four")), normalise_rows(stored(data, "half"))
    np.testing.assert_allclose(sample.rows, np.concatenate([
        normalise_rows(stored(data, "one")), normalise_rows(four.reshape(9, 4, 2).mean(1)),
        np.repeat(half, 2, axis=0)[:9]], 1), rtol=1e-5)


def test_the_first_store_decides_the_clock(data):
    (sample, _) = open_samples(settings(data, "half", [("four", 4.0)], feature_fps=0.5), "train")
    assert sample.rows.shape == (5, 6) and sample.seconds_per_row == 2
    (sample, _) = open_samples(settings(data, "four", [("half", 0.5)], feature_fps=4.0), "train")
    assert sample.rows.shape == (9, 6) and sample.seconds_per_row == 1, "the features are thinned"
    config = settings(data, "four", [("half", 0.5)], feature_fps=4.0, feature_rows="all")
    (sample, _) = open_samples(config, "train")
    assert sample.rows.shape == (36, 6) and sample.seconds_per_row == 0.25


@pytest.mark.parametrize("fps", [1.0, 4.0])
def test_equal_rates_are_read_as_without_them(data, fps):
    """Also where both stores are thinned: rows are then chosen, not averaged."""
    plain = open_all(settings(data, "four", [("one", 0)], feature_fps=fps))
    rated = open_all(settings(data, "four", [("one", fps)], feature_fps=fps))
    np.testing.assert_array_equal(plain.read("v"), rated.read("v"))
    assert plain.fingerprint(["v"]) == rated.fingerprint(["v"])
    rows = [open_features(data / f"{name}.h5", fps).read("v") for name in ("four", "one")]
    np.testing.assert_array_equal(plain.read("v"), join_streams(rows))


def test_rates_decide_results(data):
    """They are part of the digest of what is read, and named among the settings."""
    def config(fps):
        return Config(data=settings(data, streams=[("four", fps)]))

    digests = {open_all(config(fps).data).fingerprint(["v"]) for fps in (0, 2.0, 4.0)}
    assert len(digests) == 3
    for decides in (training_settings, prediction_settings):
        assert decides(config(4.0))["data.streams.fps"] == [4.0]
        assert "data.streams.fps" not in decides(config(0)) | decides(config(1.0))
        every = Config(data=settings(data, "four", feature_fps=4.0, feature_rows="all"))
        assert decides(every)["data.feature_rows"] == "all"
    names = [open_features(data / "four.h5", 4.0, rows=rows).fingerprint(["v"]) for rows in ("thinned", "all")]
    assert names[0] != names[1]


def test_settings_of_streams_are_read_and_written(tmp_path):
    (tmp_path / "c.yaml").write_text("data: {streams: [a.h5, {path: b.h5, fps: 2}], feature_fps: 0.5}", "utf-8")
    config = load_config(tmp_path / "c.yaml")
    assert config.data.beside == (Stream("a.h5", 0.5), Stream("b.h5", 2.0))
    assert dump_config(config)["data"]["streams"] == ["a.h5", {"path": "b.h5", "fps": 2.0}]
    assert load_config(None, ["data.streams=a.h5"]).data.streams == ["a.h5"]
    assert load_config(None, ["data.streams=[{path: a.h5, fps: 2}]"]).data.beside == (Stream("a.h5", 2.0),)


@pytest.mark.parametrize(("override", "what"), [
    ("data.streams=[{path: a.h5, fsp: 2}]", r"data\.streams: unknown setting fsp; the nearest known one is fps"),
    ("data.streams=[{path: a.h5, fps: -2}]", r"data\.streams: fps: expected 0 or more, found -2"),
    ("data.streams=[{fps: 2}]", r"data\.streams: a stream needs a path: .path: <features>"),
    ("data.streams=[3]", r"data\.streams: expected text .*, found 3"),
    ("data.streams={path: a.h5}", r"data\.streams: expected a list"),
    ("data.feature_rows=some", r"data\.feature_rows: expected one of 'thinned', 'all', 'spread', found 'some'"),
])
def test_settings_of_streams_that_are_refused(override, what):
    with pytest.raises(UserError, match=what):
        load_config(None, [override])


def test_spread_rows_have_no_rate():
    with pytest.raises(UserError, match=r"data\.feature_rows=spread spreads the rows of every store .* leave fps out"):
        load_config(None, ["data.feature_rows=spread", "data.streams=[{path: a.h5, fps: 2}]"])
    with pytest.raises(UserError, match=r"data\.feature_rows=spread: this needs rows that last equally long"):
        check_settings(load_config(None, ["data.feature_rows=spread"]))  # the captioner reads the memory by windows
    check_settings(load_config(None, ["data.feature_rows=spread", "system=moments"]))


def test_all_rows_are_kept(data):
    four = settings(data, "four", feature_fps=4.0)
    thinned, every = (open_samples(one, "train")[1] for one in (four, dataclasses.replace(four, feature_rows="all")))
    assert thinned.rows.shape == (5, 2) and thinned.seconds_per_row == 1
    assert every.rows.shape == (18, 2) and every.seconds_per_row == 0.25
    np.testing.assert_array_equal(every.rows[::4], thinned.rows)


def test_rows_that_share_the_duration(data):
    """Whatever their number, and that of other stores."""
    config = settings(data, "one", [("four", 0), ("half", 0)], feature_rows="spread", feature_fps=7.0)
    samples = open_samples(config, "train")
    assert [(one.rows.shape, one.seconds_per_row) for one in samples] == [((9, 9), 1.0), ((5, 9), 0.9)]
    np.testing.assert_allclose(samples[0].rows[:, 5:], normalise_rows(stored(data, "half"))[
        [0, 0, 1, 1, 2, 3, 3, 4, 4]], rtol=1e-5)


def test_rows_cannot_share_an_unknown_duration(data):
    videos = {"v": Video("v", math.nan, ())}
    samples = SplitSamples(videos, open_all(settings(data, feature_rows="spread")), SpeechStore.of({}))
    with pytest.raises(UserError, match=r"one\.h5: video v: its duration is not known.*add it to the annotations"):
        samples[0]
    assert SplitSamples(videos, open_all(settings(data)), SpeechStore.of({}))[0].duration == 10.0
