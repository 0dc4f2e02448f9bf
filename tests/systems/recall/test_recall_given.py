"""Given events in recall: each quotes what the mean of its rows recalls, whatever the score, and none is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.systems.recall.decode import caption, caption_spans
from hicm.systems.recall.segment import segment, span_means, unit_rows
from hicm.systems.recall.settings import Settings
from hicm.types import Span
from tests.systems.recall.test_recall_quoting import NEAREST, WIDTH, captions, footage
from tests.systems.recall.test_recall_segment import planted, videos


def test_the_systems_own_events_are_worded_as_it_words_them():
    known = captions()
    video = footage(known, [3, 7, 1, 7], noise=0.1)
    own = caption(video, known, np.zeros(WIDTH), NEAREST)
    spans = [event.span for event in own]
    assert len(own) == 4 and caption_spans(video, spans, known, np.zeros(WIDTH), NEAREST) == own
    assert caption_spans(video, spans[::-1], known, np.zeros(WIDTH), NEAREST) == own[::-1]


@settings(deadline=None, max_examples=40)
@given(videos(), st.sampled_from([0.25, 2.0]))
def test_the_means_of_segments_are_theirs(video, penalty):
    rows, step, duration = video
    [found] = segment(rows, step, duration, [penalty], 0.0)
    np.testing.assert_allclose(span_means(rows, step, duration, found.spans), found.means, atol=1e-6)


def test_a_span_without_a_row_takes_the_nearest():
    rows = planted([5, 5], 0.5)
    unit = unit_rows(rows)
    odd = np.array([(3.2, 3.2), (4.0, 4.0), (-5, -1), (10, 10), (20, 31), (4, 2), (9.9, 40)])
    means = span_means(rows, 1.0, 10.0, odd)
    expected = np.stack([unit[3], unit[4], unit[0], unit[9], unit[9], unit[2:4].mean(axis=0), unit[9]])
    np.testing.assert_allclose(means, expected, atol=1e-6)
    assert span_means(rows, 1.0, 10.0, np.zeros((0, 2))).shape == (0, rows.shape[1])


def test_none_is_lost_and_none_is_merged():
    known = captions()
    video, same = footage(known, [3]), (Span(0, 5), Span(5, 10), Span(5, 5), Span(12, 19))
    found = caption_spans(video, same, known, np.zeros(WIDTH), Settings(neighbours=1, threshold=1.0))
    assert tuple(event.span for event in found) == same and {event.text for event in found} == {"caption 3"}
    assert all(-1 <= event.score <= 1 for event in found)
    assert caption_spans(video, (), known, np.zeros(WIDTH), NEAREST) == []


def test_a_video_does_not_quote_itself():
    known = captions(videos=4)
    video = footage(known, [5])
    video = type(video)("video_1", video.duration, video.rows)  # caption 5 is its own
    spans = [Span(0, 10)]
    assert caption_spans(video, spans, known, np.zeros(WIDTH), NEAREST)[0].text == "caption 5"
    [other] = caption_spans(video, spans, known, np.zeros(WIDTH), NEAREST, leave_own_out=True)
    assert int(other.text.split()[1]) % 4 != 1
    alone = type(known)(known.texts[:1], known.vectors[:1], np.array(["video_1"]))
    with pytest.raises(UserError, match="video video_1: the memory holds no captions of other videos"):
        caption_spans(video, spans, alone, np.zeros(WIDTH), NEAREST, leave_own_out=True)
