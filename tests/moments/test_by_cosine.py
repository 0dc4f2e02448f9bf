"""Moments by the cosines of frames and sentence."""

import numpy as np
import pytest

from hicm.moments.by_cosine import cosine_windows, mean_cosines


def test_stretches_like_the_sentence_are_found_and_ranked():
    rows = np.tile([0.0, 3.0], (60, 1))
    rows[10:20], rows[40:50] = [3.0, 3.0], [9.0, 0.0]  # length says nothing
    windows = cosine_windows(rows, np.array([5.0, 0.0]), 2.0, 119.5)
    assert len(windows) == 2
    assert abs(windows[:, :2] - [[80, 100], [20, 40]]).max() <= 4, "seconds, of two rows"
    assert windows[:, 2] == pytest.approx([1.0, 0.5 ** 0.5])


def test_a_single_row_does_not_make_a_moment_where_a_stretch_does():
    rows = np.tile([0.0, 1.0], (60, 1))
    rows[5], rows[30:40] = [1.0, 0.0], [1.0, 0.2]
    assert cosine_windows(rows, np.array([1.0, 0.0]), 1.0, 60.0)[:, :2].tolist() == [[30.0, 40.0]]


@pytest.mark.parametrize("count", [1, 3, 50])
def test_a_video_that_does_not_change_is_one_moment(count):
    assert cosine_windows(np.ones((count, 4)), np.array([1.0, 2, 3, 4]), 1.0, count - 0.3)[:, :2].tolist() == [
        [0.0, pytest.approx(count - 0.3)]]


def test_a_video_that_ends_with_a_moment():
    rows = np.tile([0.0, 1.0], (30, 1))
    rows[20:] = [1.0, 0.0]
    assert cosine_windows(rows, np.array([1.0, 0.0]), 1.0, 29.4)[0, :2].tolist() == [
        pytest.approx(20.0, abs=2), 29.4]


def test_the_mean_cosine_of_windows():
    rows, sentence = np.array([[1.0, 0], [0, 2], [1, 0], [0, 1]]), np.array([3.0, 0])
    windows = np.array([[0.0, 4, 0.9], [4, 6, 0.8], [2, 2, 0.5], [7.9, 8, 0.1], [9, 9, 0.1]])
    assert mean_cosines(rows, sentence, 2.0, windows).tolist() == [0.5, 1.0, 0.0, 0.0, 0.0]
