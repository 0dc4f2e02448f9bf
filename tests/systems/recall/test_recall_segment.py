"""Cutting: planted changes are found, the optimum is the optimum, and the shape of the input decides nothing else."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hicm.errors import UserError
from hicm.systems.recall import segment as module
from hicm.systems.recall.segment import segment, unit_rows

SMALL = st.integers(-3, 3).map(float)


@st.composite
def videos(draw):
    """Rows, seconds per row, duration: from half of the rows to some seconds after them."""
    rows = draw(arrays(np.float32, (draw(st.integers(1, 24)), draw(st.integers(1, 4))), elements=SMALL))
    step = draw(st.sampled_from([0.5, 1.0, 1.28]))
    return rows, step, len(rows) * step * draw(st.sampled_from([0.5, 0.97, 1.0, 1.01, 1.5]))


def planted(lengths, noise, seed=0, width=64):
    """Rows of one direction per part, with noise."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(lengths), width))
    rows = np.repeat(centres, lengths, axis=0) + noise * rng.standard_normal((sum(lengths), width))
    return rows.astype(np.float32)


def spans(rows, step=1.0, duration=None, penalty=3.0, shortest=3.0, mask=None):
    [found] = segment(rows, step, duration or len(rows) * step, [penalty], shortest, mask)
    return found.spans


@pytest.mark.parametrize("penalty", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_planted_boundaries_are_found(noise, penalty):
    lengths = [20, 35, 12, 60, 8, 300, 25]
    found = spans(planted(lengths, noise), penalty=penalty)
    assert found[:, 1].tolist() == np.cumsum(lengths).tolist()


def test_noise_alone_is_not_cut():
    assert len(spans(planted([300], 1.0), penalty=2.0)) == 1


def test_what_all_rows_share_does_not_hide_the_boundaries():
    lengths = [20, 35, 12, 60]
    rows = planted(lengths, 1.0) + 40  # cosines of any two rows near 1, as between frames of one video
    assert spans(rows)[:, 1].tolist() == np.cumsum(lengths).tolist()


@settings(deadline=None)
@given(videos(), st.sampled_from([0.25, 1.0, 2.0, 8.0]), st.sampled_from([0.0, 1.0, 2.5, 7.0]))
def test_segments_cover_the_rows_in_order_and_none_is_too_short(video, penalty, shortest):
    rows, step, duration = video
    [found] = segment(rows, step, duration, [penalty], shortest)
    starts, ends = found.spans.T
    assert starts[0] == 0 and np.array_equal(starts[1:], ends[:-1]) and (ends > starts).all()
    assert min(duration, len(rows) * step) - 1e-9 <= ends[-1] <= duration
    assert len(starts) == 1 or (ends - starts).min() >= shortest - 1e-6
    assert found.means.shape == (len(starts), rows.shape[1]) and np.isfinite(found.means).all()


@settings(deadline=None)
@given(arrays(np.float32, (9, 2), elements=SMALL), st.sampled_from([0.3, 1.0, 2.0]), st.integers(1, 4))
def test_the_partition_is_the_best_of_all(rows, penalty, shortest):
    unit = unit_rows(rows)
    scatter = len(rows) * unit.var(axis=0).sum()

    def cost(edges):
        parts = [unit[start:end] for start, end in itertools.pairwise(edges)]
        return sum(len(part) * part.var(axis=0).sum() for part in parts) * 9 / scatter + penalty * (len(parts) - 1)

    found = [0, *spans(rows, penalty=penalty, shortest=shortest)[:, 1].astype(int)]
    if scatter > 1e-6:
        allowed = [[0, *inner, 9] for count in range(9) for inner in itertools.combinations(range(1, 9), count)
                   if min(np.diff([0, *inner, 9])) >= shortest]
        assert cost(found) <= min(map(cost, allowed)) + 1e-5
    else:
        assert found == [0, 9]


def test_means_are_those_of_the_normalised_rows():
    rows = planted([10, 20], 0.3) * np.linspace(1, 9, 30, dtype=np.float32)[:, None]
    [found] = segment(rows, 1.0, 30.0, [3.0], 3.0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(found.means, [unit[:10].mean(axis=0), unit[10:].mean(axis=0)], atol=1e-6)


@settings(deadline=None)
@given(videos(), st.sampled_from([2.0**-20, 0.5, 8.0, 2.0**60]))
def test_the_scale_of_the_features_changes_nothing(video, scale):
    rows, step, duration = video
    assert np.array_equal(spans(rows, step, duration), spans(rows * np.float32(scale), step, duration))


@settings(deadline=None)
@given(videos(), st.sampled_from([0.5, 4.0]))
def test_seconds_are_seconds_whatever_the_unit_of_time(video, scale):
    rows, step, duration = video
    slow = spans(rows, step * scale, duration * scale, 2.0 * scale, 3.0 * scale)
    np.testing.assert_allclose(slow, spans(rows, step, duration, 2.0, 3.0) * scale)


@settings(deadline=None)
@given(videos(), st.integers(1, 300), st.floats(-5, 5, width=32))
def test_padding_changes_nothing(video, count, filling):
    rows, step, duration = video
    padded = np.concatenate([rows, np.full((count, rows.shape[1]), filling, np.float32)])
    mask = np.arange(len(padded)) < len(rows)
    [bare], [found] = (segment(rows, step, duration, [2.0], 3.0), segment(padded, step, duration, [2.0], 3.0, mask))
    assert np.array_equal(bare.spans, found.spans) and np.array_equal(bare.means, found.means)


def test_rows_after_the_end_of_the_video_are_ignored():
    rows = planted([10, 10], 0.2)
    assert np.array_equal(spans(np.concatenate([rows, planted([50], 0.2, seed=1)]), duration=20.0), spans(rows))


def test_the_last_segment_ends_with_the_video_when_less_than_a_row_is_missing():
    rows = planted([10, 10], 0.2)
    assert spans(rows, duration=20.75)[-1].tolist() == [10, 20.75]
    assert spans(rows, duration=25.0)[-1].tolist() == [10, 20]  # nothing is known of the rest


@pytest.mark.parametrize("rows", [np.ones((1, 4)), np.ones((50, 4)), np.zeros((50, 4)), np.full((50, 4), 3e38),
                                  np.full((50, 4), 1e-45), np.full((4096, 3), 1 / 3)],
                         ids=["one row", "constant", "zero", "huge", "tiny", "long"])
def test_rows_that_do_not_differ_are_one_segment(rows):
    [found] = segment(rows.astype(np.float32), 1.0, float(len(rows)), [0.01], 1.0)
    assert found.spans.tolist() == [[0, len(rows)]] and np.isfinite(found.means).all()


def test_a_video_too_short_to_be_cut_is_one_segment():
    rows = planted([2, 2], 0.0)
    assert spans(rows, penalty=0.1, shortest=2.5).tolist() == [[0, 4]]
    assert spans(rows, penalty=0.1, shortest=9.0).tolist() == [[0, 4]]
    assert spans(rows, penalty=0.1, shortest=2.0).tolist() == [[0, 2], [2, 4]]
    assert spans(rows[:1], duration=0.4).tolist() == [[0, 0.4]]


def test_several_penalties_give_what_each_gives_alone_and_higher_ones_fewer_segments():
    rows, penalties = planted([5, 9, 20, 7, 40, 11], 1.5), [0.5, 2.0, 4.0, 8.0, 50.0]
    together = segment(rows, 1.0, 92.0, penalties, 2.0)
    for penalty, found in zip(penalties, together, strict=True):
        assert np.array_equal(found.spans, spans(rows, penalty=penalty, shortest=2.0))
    counts = [len(found.spans) for found in together]
    assert counts == sorted(counts, reverse=True) and counts[-1] == 1 < counts[0]


def test_of_equally_good_cuts_the_same_one_is_taken_however_rows_are_blocked(monkeypatch):
    rows = np.tile(np.eye(2, dtype=np.float32).repeat(3, axis=0), (20, 1))  # every sixth second could be any other
    found = spans(rows, penalty=2.9)
    for block in (1, 7, 64):
        monkeypatch.setattr(module, "BLOCK", block)
        assert np.array_equal(spans(rows, penalty=2.9), found)


def test_costs_are_never_held_for_all_pairs_of_rows(monkeypatch):
    shapes, whole = [], module._scatters
    monkeypatch.setattr(module, "_scatters", lambda *given: shapes.append(whole(*given)) or shapes[-1])
    spans(planted([600, 400], 1.0, width=4))
    shapes = [table.shape for table in shapes]
    assert max(rows for rows, _ in shapes) == module.BLOCK and sum(rows for rows, _ in shapes) == 1000


@pytest.mark.parametrize(("rows", "step", "duration"), [
    (np.ones((0, 4)), 1.0, 5.0), (np.ones(4), 1.0, 5.0), (np.ones((4, 2)), 0.0, 5.0), (np.ones((4, 2)), 1.0, 0.0),
    (np.ones((4, 2)), 1.0, float("nan")), (np.ones((4, 2)), float("inf"), 4.0)])
def test_bad_input(rows, step, duration):
    with pytest.raises(UserError):
        segment(rows, step, duration, [3.0], 3.0)
