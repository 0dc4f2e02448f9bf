"""Shapes of windows: Ward's method on the chain of frames, beside a plain account of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.config import RetrievalConfig
from hicm.retrieval.shapes.ward import windows
from hicm.retrieval.windows import window_means


def naive_ends(frames: np.ndarray, count: int) -> list[tuple[int, int]]:
    """First row of each window and the one after its last: the union that adds least to the squared distances wins."""
    def spread(start: int, end: int) -> float:
        return float(((frames[start:end] - frames[start:end].mean(axis=0)) ** 2).sum())

    parts = [(row, row + 1) for row in range(len(frames))]
    while len(parts) > count:
        added = [spread(a, d) - spread(a, b) - spread(c, d) for (a, b), (c, d) in pairwise(parts)]
        place = int(np.argmin(added))
        parts[place:place + 2] = [(parts[place][0], parts[place + 1][1])]
    return parts


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 40))
def test_ward_merges_the_neighbours_that_differ_least(seed, count, real):
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((40, 6)).astype(np.float32)
    frames[real:] = 0
    mask = np.arange(40) < real
    _, valid, ends = window_means(frames[None], mask[None], RetrievalConfig(windows=count, window_shape="ward"))
    expected = naive_ends(frames[:real].astype(np.float64), count)
    assert ends[0].tolist() == [list(part) for part in expected] + [[-1, -1]] * (count - len(expected))
    assert valid[0].tolist() == [True] * len(expected) + [False] * (count - len(expected))


def test_ward_finds_the_stretches_and_their_means():
    scenes = np.float32([[1, 0], [0, 5], [9, 9]])
    frames = np.concatenate([np.repeat(scenes, [2, 7, 3], axis=0), np.zeros((4, 2), np.float32)])
    mask = np.arange(16) < 12
    ward = RetrievalConfig(windows=3, window_shape="ward")
    queries, valid, ends = window_means(frames[None], mask[None], ward)
    assert ends.tolist() == [[[0, 2], [2, 9], [9, 12]]] and valid.all()
    np.testing.assert_allclose(queries[0], scenes, rtol=1e-6)
    _, _, attended = window_means(frames[None], mask[None], RetrievalConfig(windows=4, window_shape="ward",
                                                                           mask_padding=False))
    assert attended.tolist() == [[[0, 2], [2, 9], [9, 12], [12, 16]]], "padding counts"


@pytest.mark.parametrize("real", [0, 1, 2, 3])
def test_few_or_equal_frames(real):
    """As many windows as frames at most, also where all frames are the same."""
    found = windows(np.ones((6, 4), np.float32), np.arange(6) < real, RetrievalConfig(windows=3))
    assert found.sum(axis=1).tolist() == [1] * real + [0] * (3 - real) and found.any(axis=0).tolist() == [
        row < real for row in range(6)]
    equal = windows(np.ones((6, 4), np.float32), np.ones(6, bool), RetrievalConfig(windows=3))
    assert (equal.sum(axis=0) == 1).all() and equal.any(axis=1).all()
    assert (np.diff(equal.argmax(axis=0)) >= 0).all()


def test_rows_that_do_not_count_belong_to_no_window():
    counted = np.array([True, False, True, True, False, True])
    found = windows(np.float32([[0], [9], [0], [5], [9], [5]]), counted, RetrievalConfig(windows=2))
    assert found.tolist() == [[True, False, True, False, False, False], [False, False, False, True, False, True]]
