import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.data.time_tokens import is_clamped, to_bin, to_bins, to_seconds
from hicm.errors import UserError

DURATION = st.floats(0.1, 1e5)
FRACTION = st.floats(0, 1)
BINS = st.integers(2, 500)
ANY_TIME = st.floats(-1e6, 1e6)


@given(FRACTION, DURATION, BINS)
def test_round_trip_stays_within_one_bin(fraction, duration, bins):
    seconds = fraction * duration
    back = to_seconds(to_bin(seconds, duration, bins), duration, bins)
    assert -1e-9 * duration <= seconds - back < duration / (bins - 1) * (1 + 1e-9)


@given(ANY_TIME, ANY_TIME, DURATION, BINS)
def test_later_never_gets_an_earlier_bin(a, b, duration, bins):
    first, second = sorted((a, b))
    assert to_bin(first, duration, bins) <= to_bin(second, duration, bins)


@given(ANY_TIME, DURATION, BINS)
def test_bin_exists_and_clamping_is_told(seconds, duration, bins):
    found = to_bin(seconds, duration, bins)
    assert 0 <= found < bins
    if is_clamped(seconds, duration, bins):
        assert found in (0, bins - 1)
    else:  # hicm2.md 1.5: int(((B-1)*t)/duration), truncated toward 0
        assert found == int(((bins - 1) * seconds) / duration)


@given(st.lists(ANY_TIME, max_size=20), DURATION, BINS)
def test_vectorised_agrees(seconds, duration, bins):
    found = to_bins(np.array(seconds), duration, bins)
    assert found.dtype == np.int64
    assert found.tolist() == [to_bin(t, duration, bins) for t in seconds]


def test_both_ends():
    assert to_bin(0, 135.5, 100) == 0
    assert to_bin(135.5, 135.5, 100) == 99
    assert to_seconds(99, 135.5, 100) == 135.5
    assert to_seconds(0, 135.5, 100) == 0.0


def test_golden_input_agrees(golden):
    """Every time token of the reference's target sequences (tests/golden, row by row until it is cut)."""
    parity = json.loads((golden / "hicm2_parity.json").read_text(encoding="utf-8"))
    tokens = np.load(golden / "hicm2_parity.npz")["output_tokens"]
    first_time = 399  # of the tiny tokenizer, hicm2.md section 6
    compared = 0
    for row, video_id in zip(tokens, parity["video_ids"], strict=True):
        entry = parity["annotations"][video_id]
        wanted = [to_bin(t, entry["duration"], 100) for span in entry["timestamps"] for t in span]
        found = [int(token) - first_time for token in row if first_time <= token < first_time + 100]
        assert found == wanted[:len(found)]
        compared += len(found)
    assert compared >= 20


@pytest.mark.parametrize("seconds", [math.nan, math.inf])
def test_non_finite_time_is_refused(seconds):
    with pytest.raises(UserError, match="finite"):
        to_bin(seconds, 10.0, 100)


@pytest.mark.parametrize("duration", [0.0, -1.0, math.nan, math.inf])
def test_bad_duration_is_refused(duration):
    with pytest.raises(UserError, match="duration"):
        to_bin(1.0, duration, 100)
    with pytest.raises(UserError, match="duration"):
        to_seconds(1, duration, 100)


def test_bad_bins_are_refused():
    with pytest.raises(UserError, match="at least 2"):
        to_bin(1.0, 10.0, 1)
    for bin in (-1, 100):
        with pytest.raises(UserError, match="expected 0 to 99"):
            to_seconds(bin, 10.0, 100)
