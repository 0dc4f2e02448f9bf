"""Quoting: the nearest captions, never a video's own, none below the threshold, and equals by order of the bank."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.memory.bank import Bank, Leaves, Level
from hicm.systems.recall.decode import Footage, caption, quote
from hicm.systems.recall.model import Captions, Recalled, captions_of, fit, recall
from hicm.systems.recall.segment import Segments, unit_rows
from hicm.systems.recall.settings import Settings
from hicm.types import Event, Span

WIDTH = 16
NEAREST = Settings(neighbours=1, centring="none")


def captions(count=12, seed=0, videos=4):
    vectors = unit_rows(np.random.default_rng(seed).standard_normal((count, WIDTH))).astype(np.float32)
    owners = np.array([f"video_{place % videos}" for place in range(count)])
    return Captions(tuple(f"caption {place}" for place in range(count)), vectors, owners)


def footage(known, quoted, seconds=10, noise=0.05, seed=0):
    """A video that shows some captions, one after the other."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(known.vectors[quoted], seconds, axis=0)
    rows = rows + noise * rng.standard_normal(rows.shape)
    return Footage("video_9", float(len(rows)), rows.astype(np.float32))


def bank(embeddings, videos=("v_abcdefghijk", "", "0_abcdefghijk")):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, 4)).astype(np.float32)
    level = Level(("one", "two"), vectors[:2], (np.array([0, 2]), np.array([1])), np.array([0, 1]))
    return Bank((level,), Leaves(("a", "b", "c"), vectors if embeddings else None, videos, np.arange(3)))


def test_a_video_of_known_captions_quotes_them():
    known = captions()
    events = caption(footage(known, [3, 7, 1]), known, np.zeros(WIDTH), NEAREST)
    assert [event.text for event in events] == ["caption 3", "caption 7", "caption 1"]
    assert [event.span for event in events] == [Span(0, 10), Span(10, 20), Span(20, 30)]
    assert all(0.95 < event.score <= 1 + 1e-6 for event in events)


def test_the_banks_captions_are_quoted_where_it_keeps_their_embeddings():
    full = captions_of(bank(True, ("v_abcdefghijk", "lmnopqrstuv", "0_abcdefghijk")))
    assert full.texts == ("a", "b", "c") and full.owners.tolist() == ["abcdefghijk", "lmnopqrstuv", "abcdefghijk"]
    np.testing.assert_allclose(np.linalg.norm(full.vectors, axis=1), 1, rtol=1e-6)
    summaries = captions_of(bank(False))
    assert summaries.texts == ("one", "two") and summaries.owners is None
    assert captions_of(bank(True)).owners is None  # a caption of no known video


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 12), st.sampled_from(["none", "queries", "both"]))
def test_own_captions_are_left_out(seed, neighbours, centring):
    known, rng = captions(seed=seed), np.random.default_rng(seed)
    means, mean = rng.standard_normal((6, WIDTH)), rng.standard_normal(WIDTH)
    with_all = Settings(neighbours=neighbours, centring=centring)
    found = recall(means, known, mean, with_all, "v_video_2")  # short made-up ids have no prefix
    assert np.array_equal(found.captions, recall(means, known, mean, with_all).captions)
    found = recall(means, known, mean, with_all, "video_2")
    assert (known.owners[found.captions] != "video_2").all() and np.isfinite(found.scores).all()


def test_own_captions_are_found_by_the_youtube_id():
    known = captions_of(bank(True, ("v_abcdefghijk", "lmnopqrstuv", "0_abcdefghijk")))
    for spelling in ("abcdefghijk", "v_abcdefghijk", "1_abcdefghijk"):
        assert recall(known.vectors, known, np.zeros(4), NEAREST, spelling).captions.tolist() == [1, 1, 1]


def test_nothing_is_quoted_when_all_captions_are_the_videos_own():
    known = captions(videos=1)
    video = footage(known, [3, 7])
    everything = Settings(threshold=-1, neighbours=5)
    assert caption(video, known, np.zeros(WIDTH), everything)
    video = Footage("video_0", video.duration, video.rows)
    assert caption(video, known, np.zeros(WIDTH), everything, leave_own_out=True) == []


def test_own_captions_cannot_be_left_out_of_captions_of_unknown_videos():
    known = captions_of(bank(False))
    recall(known.vectors, known, np.zeros(4), NEAREST)
    with pytest.raises(UserError, match="own captions"):
        recall(known.vectors, known, np.zeros(4), NEAREST, "video_1")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.floats(-1, 1), st.sampled_from(["none", "queries", "both"]), st.integers(1, 8))
def test_the_threshold_is_kept_and_events_are_in_order(seed, threshold, centring, neighbours):
    known, rng = captions(seed=seed), np.random.default_rng(seed)
    video = Footage("video_1", 40.3, rng.standard_normal((40, WIDTH)).astype(np.float32))
    mean = rng.standard_normal(WIDTH) / 4
    how = Settings(penalty=1.0, threshold=threshold, centring=centring, neighbours=neighbours)
    events = caption(video, known, mean, how, leave_own_out=True)
    assert all(event.score >= threshold for event in events)
    times = [time for event in events for time in (event.span.start, event.span.end)]
    assert times == sorted(times) and all(0 <= time <= 40.3 for time in times)
    assert not {event.text for event in events} & {known.texts[place] for place in range(12) if place % 4 == 1}
    assert events == caption(video, known, mean, how, leave_own_out=True)


def test_the_score_is_the_cosine_of_what_is_quoted():
    known, rng = captions(), np.random.default_rng(1)
    means, mean = rng.standard_normal((5, WIDTH)), rng.standard_normal(WIDTH)
    for centring, matrix in (("none", known.vectors), ("queries", known.vectors), ("both", known.centred)):
        found = recall(means, known, mean, Settings(neighbours=4, centring=centring))
        queries = means if centring == "none" else means - mean
        cosines = unit_rows(queries) @ matrix.T
        np.testing.assert_allclose(found.scores, cosines[np.arange(5), found.captions], atol=1e-6)


@pytest.mark.parametrize("neighbours", [1, 2, 3])
def test_of_equal_captions_the_first_in_the_bank_is_quoted(neighbours):
    known = captions(400)
    for first, later in ((0, 399), (17, 240), (5, 6)):
        vectors = known.vectors.copy()
        vectors[later] = vectors[first]
        twice = Captions(known.texts, vectors, known.owners)
        found = recall(vectors[[later, first]] * 3, twice, np.zeros(WIDTH), Settings(neighbours=min(neighbours, 2)))
        assert found.captions.tolist() == [first, first]


def test_of_two_neighbours_the_nearer_one_is_quoted():
    known = captions()
    query = known.vectors[4] + 0.2 * known.vectors[9]
    assert recall(query[None], known, np.zeros(WIDTH), Settings(neighbours=2, centring="none")).captions[0] == 4


def test_the_neighbours_agree_on_a_caption():
    rng = np.random.default_rng(0)
    topic, query = np.eye(WIDTH)[0], unit_rows(np.eye(WIDTH)[:1] + 0.9 * np.eye(WIDTH)[1:2])[0]
    alike = topic + 0.1 * rng.standard_normal((4, WIDTH))
    vectors = unit_rows(np.concatenate([query[None] + 0.3 * np.eye(WIDTH)[2], alike, -np.eye(WIDTH)]))
    known, five = Captions(tuple(map(str, range(len(vectors)))), vectors.astype(np.float32), None), Settings(
        neighbours=5, centring="none")
    assert recall(query[None], known, np.zeros(WIDTH), NEAREST).captions[0] == 0  # the nearest is like no other
    assert recall(query[None], known, np.zeros(WIDTH), five).captions[0] in range(1, 5)


def test_more_neighbours_than_captions_are_all_of_them():
    known, means = captions(5), np.random.default_rng(0).standard_normal((3, WIDTH))
    found = [recall(means, known, np.zeros(WIDTH), Settings(neighbours=count)) for count in (5, 500)]
    assert np.array_equal(found[0].captions, found[1].captions)


def test_centring_takes_away_what_all_frames_share():
    known = captions()
    gap = 4 * known.vectors[0]  # every frame lies towards caption 0
    video = footage(known, [3, 7, 1])
    shifted = Footage("video_9", video.duration, video.rows + gap)
    mean = fit([footage(known, [place], seed=place).rows + gap for place in range(1, 12)])
    assert {event.text for event in caption(shifted, known, mean, NEAREST)} == {"caption 0"}
    found = caption(shifted, known, mean, Settings(neighbours=1, centring="queries"))
    assert [event.text for event in found] == ["caption 3", "caption 7", "caption 1"]


def test_fit_is_the_mean_of_all_normalised_rows():
    rng = np.random.default_rng(0)
    videos = [rng.standard_normal((rows, 5)).astype(np.float32) * rows for rows in (3, 1, 8)]
    np.testing.assert_allclose(fit(iter(videos)), unit_rows(np.concatenate(videos)).mean(axis=0), atol=1e-6)
    assert fit(videos).dtype == np.float32
    with pytest.raises(UserError, match="no row"):
        fit([])


def test_touching_events_of_the_same_sentence_are_one():
    known = Captions(("stir", "stir", "pour"), np.eye(3, dtype=np.float32), None)
    cut = Segments(np.array([[0, 4], [4, 9], [9, 12], [12, 20], [20, 30], [30, 31.0]]), np.zeros((6, 3), np.float32))
    recalled = Recalled(np.array([0, 1, 2, 0, 0, 0]), np.float32([0.5, 0.75, 0.5, 0.5, 0.25, 0.5]))
    assert quote(cut, recalled, known, 0.4) == [
        Event(Span(0, 9), "stir", 0.75), Event(Span(9, 12), "pour", 0.5), Event(Span(12, 20), "stir", 0.5),
        Event(Span(30, 31), "stir", 0.5)]


def test_a_bank_of_another_width_is_refused():
    with pytest.raises(UserError, match="16 wide and the memory bank 4"):
        recall(np.zeros((2, 16)), captions_of(bank(False)), np.zeros(16), NEAREST)
