import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.retrieval.windows import slot_seconds, window_means, window_rows, window_seconds


@given(st.integers(1, 120), st.data())
def test_windows_follow_one_another(rows, data):
    windows = data.draw(st.integers(1, rows))
    spread, drop = window_rows(rows, windows), window_rows(rows, windows, "drop")
    assert (spread.sum(axis=0) == 1).all()
    assert [part.tolist() for part in np.array_split(np.arange(rows), windows)] == [
        np.flatnonzero(part).tolist() for part in spread]
    size = rows // windows
    assert [np.flatnonzero(part).tolist() for part in drop] == [
        list(range(w * size, (w + 1) * size)) for w in range(windows)]


@given(st.integers(0, 2**31), st.sampled_from(["spread", "drop"]), st.booleans())
def test_means_over_real_rows(seed, tail, mask_padding):
    rng = np.random.default_rng(seed)
    frames, mask = rng.standard_normal((3, 11, 4)).astype(np.float32), rng.random((3, 11)) < 0.5
    queries, valid, ends = window_means(frames, mask, RetrievalConfig(windows=4, tail=tail, mask_padding=mask_padding))
    assert queries.dtype == np.float32 and ends.dtype == np.int32
    cut = [np.flatnonzero(rows) for rows in window_rows(11, 4, tail)]
    assert ends.tolist() == [[[rows[0], rows[-1] + 1] for rows in cut]] * 3, "padding included"
    for b, w in np.ndindex(3, 4):
        rows = window_rows(11, 4, tail)[w] & (mask[b] if mask_padding else True)
        assert valid[b, w] == rows.any()
        expected = frames[b, rows].mean(axis=0) if rows.any() else np.zeros(4)
        np.testing.assert_allclose(queries[b, w], expected, atol=1e-6)


def test_vitt_windows_leave_ten_rows_out_only_as_released():
    assert window_rows(100, 30, "drop").sum() == 90  # hicm2.md 2.5
    assert window_rows(100, 30, "spread").sum() == 100


@pytest.mark.parametrize("windows", [0, 6])
def test_impossible_windows(windows):
    with pytest.raises(UserError, match=f"{windows} windows cannot be cut from 5 rows; expected 1 to 5"):
        window_rows(5, windows)


@pytest.mark.parametrize("shape", ["uniform", "ward"])
def test_more_windows_than_rows(shape):
    with pytest.raises(UserError, match="6 windows cannot be cut from 5 rows; expected 1 to 5"):
        window_means(np.zeros((1, 5, 2), np.float32), np.ones((1, 5), bool),
                     RetrievalConfig(windows=6, window_shape=shape))


@pytest.mark.parametrize(("duration", "frames", "windows", "expected"), [
    (200, 100, 4, [(0, 50), (50, 100), (100, 150), (150, 200)]),  # thinned: rows cover the whole video
    (30, 40, 4, [(0, 10), (10, 20), (20, 30), None]),  # padded: a row a second, the last window is padding
    (25, 40, 4, [(0, 10), (10, 20), (20, 25), None]),
    (50, 5, 2, [(0, 30), (30, 50)]),  # 5 rows in 2 windows: 3 and 2
])
def test_window_seconds(duration, frames, windows, expected):
    assert window_seconds(RetrievalConfig(windows=windows), duration, frames) == expected


@pytest.mark.parametrize(("duration", "frames"), [(30, 40), (200, 100)])
def test_windows_of_nearest_rows_cover_the_whole_video(duration, frames):
    spans = window_seconds(RetrievalConfig(windows=4), duration, frames, sampling="nearest")
    assert spans == [(i * duration / 4, (i + 1) * duration / 4) for i in range(4)]
    padded = window_seconds(RetrievalConfig(windows=4), 2.0, 0, sampling="nearest")
    assert padded == [(0.0, 1.0), (1.0, 2.0), None, None], "all rows"


def test_window_seconds_of_slow_features():
    assert window_seconds(RetrievalConfig(windows=2), 12, 10, 0.5) == [(0, 10), (10, 12)]  # a row every 2 s
    assert window_seconds(RetrievalConfig(windows=2), 4, 10, 2.0) == [(0, 2.5), (2.5, 4)]  # two rows a second
    assert window_seconds(RetrievalConfig(windows=2), 4, 0, 2.0) == [(0, 2), (2, 4)]


def test_seconds_of_recorded_windows():
    ward, rows = RetrievalConfig(windows=3, window_shape="ward"), np.array([[0, 3], [3, 10], [-1, -1]], np.int32)
    assert window_seconds(ward, 8.5, 20, rows=rows) == [(0, 3), (3, 8.5), None]  # padded: a row a second
    assert window_seconds(ward, 100, 20, rows=rows) == [(0, 15), (15, 50), None]  # thinned: a row every 5 s
    assert window_seconds(ward, 100, 0, 0.5, rows=rows) == [(0, 6), (6, 20), None]  # all rows, one every 2 s
    assert window_seconds(ward, 5, 20, sampling="nearest", rows=rows) == [(0, 0.75), (0.75, 2.5), None]
    with pytest.raises(UserError, match="window_shape=ward: what was recalled does not say where"):
        window_seconds(ward, 100, 20)


def test_seconds_of_slots():
    slots = np.array([[1, 2, 7], [0, -1, -1], [-1, 1, 3], [2, 1, 4]], np.int32)
    found = slot_seconds(slots, [(0.0, 2.0), (2.0, 4.5), None])
    np.testing.assert_array_equal(found, [[2, 4.5], [0, 2], [np.nan] * 2, [np.nan] * 2])
    assert slot_seconds(slots[:0], []).shape == (0, 2)
