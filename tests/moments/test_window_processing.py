"""Windows are clamped, rounded and thinned out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hicm.moments.postprocess import clamp, hull_overlap, post_process, round_to_grid, suppress

TIMES = st.floats(-200, 2000, width=32)
ROWS = st.lists(st.tuples(TIMES, TIMES, st.floats(0, 1)), max_size=12)
WINDOWS = ROWS.map(lambda rows: np.array(rows).reshape(-1, 3))


@given(WINDOWS, st.sampled_from([0.0, 150.0, 1000.0]), st.sampled_from([0.0, 0.17, 1.0, 2.0]))
def test_processing_twice_changes_nothing(windows: np.ndarray, longest: float, step: float) -> None:
    once = post_process(windows, longest, step)
    assert once.shape == windows.shape
    assert (post_process(once, longest, step) == once).all()
    assert not longest or ((once[:, :2] >= 0) & (once[:, :2] <= longest)).all()


@given(WINDOWS, st.sampled_from([1.0, 2.0]))
def test_rounding_moves_by_half_a_step_at_most(windows: np.ndarray, step: float) -> None:
    assert (np.abs(round_to_grid(windows, step)[:, :2] - windows[:, :2]) <= step / 2).all()
    assert (clamp(windows, 150.0)[:, 2] == windows[:, 2]).all()


def test_times_too_large_for_single_precision_stay_finite() -> None:
    windows = np.array([[-1e299, 1e299, 0.5], [1e200, 1e200, 1e299]])
    assert np.isfinite(post_process(windows, step=0.001)).all()
    assert post_process(windows, 150)[:, :2].tolist() == [[0, 150], [150, 150]]


def test_what_is_given_stays_as_it_is() -> None:
    windows = np.array([[-1.0, 3.4, 0.98765]])
    post_process(windows, 150, 1)
    assert windows.tolist() == [[-1.0, 3.4, 0.98765]]


@given(WINDOWS, st.sampled_from([0.3, 0.5, 0.9]), st.integers(1, 10))
def test_suppression(windows: np.ndarray, threshold: float, most: int) -> None:
    kept = suppress(windows, threshold, most)
    rows = list(map(tuple, windows.tolist()))
    assert all(tuple(row) in rows for row in kept.tolist())
    if len(windows) < 2:
        assert kept.tolist() == windows.tolist()
        return
    assert 1 <= len(kept) <= most and kept[0, 2] == windows[:, 2].max() and (np.diff(kept[:, 2]) <= 0).all()
    for at, one in enumerate(kept):
        assert (hull_overlap(one[None, :2], kept[at + 1:, :2]) <= threshold).all()
    if len(kept) < most:  # whatever was dropped overlaps something that was kept
        for one in windows:
            assert (hull_overlap(one[None, :2], kept[:, :2]) > threshold).any() or one.tolist() in kept.tolist()
