"""Where long videos are cut."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.types import Span
from hicm.video.windows import SLACK, cut


def scenes(*lengths: int) -> np.ndarray:
    """Rows of one scene after the other, each of its own direction."""
    return np.repeat(np.eye(len(lengths)), lengths, axis=0)


def test_a_short_video_is_one_window():
    assert cut(scenes(5, 5), 1.0, 10.0, 10.0) == [Span(0, 10)]


def test_cut_where_the_picture_changes():
    assert cut(scenes(52, 48), 1.0, 100.0, 70.0) == [Span(0, 52), Span(52, 100)]


def test_not_in_the_middle_of_a_sentence():
    assert cut(scenes(52, 48), 1.0, 100.0, 70.0, ((50.5, 53.5),))[0].end not in (51, 52, 53)


@given(st.integers(1, 400), st.floats(0.2, 3), st.floats(5, 60), st.integers(0, 9))
def test_windows_cover_the_video(count, step, longest, seed):
    rng = np.random.default_rng(seed)
    duration = count * step - rng.uniform(0, step * 0.9)
    windows = cut(rng.normal(size=(count, 3)), step, duration, longest, ((1.0, 8.0), (9.0, 11.0)))
    assert windows[0].start == 0 and windows[-1].end == duration
    assert all(one.end == two.start for one, two in itertools.pairwise(windows))
    assert all(0 < window.end - window.start <= longest * (1 + SLACK) for window in windows)
    assert len(windows) == 1 or max(window.end - window.start for window in windows) <= longest + 1e-9


def test_an_event_never_ends_after_its_window():
    pytest.importorskip("torch")
    from hicm.stages.parts import in_video
    from hicm.types import Event

    events = [Event(Span(0, 5), "a"), Event(Span(9, 30), "b"), Event(Span(10, 11), "late")]
    assert in_video(events, Span(100, 110)) == [Event(Span(100, 105), "a"), Event(Span(109, 110), "b")]
