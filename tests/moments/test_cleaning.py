"""What is done to annotated spans before they are used."""

from hypothesis import given
from hypothesis import strategies as st

from hicm.moments.cleaning import Cleaning

SECONDS = st.floats(0, 100)


@given(SECONDS, SECONDS, st.floats(0.1, 100))
def test_clean_spans(start, end, duration):
    found = Cleaning().clean(start, end, duration)
    assert (found is None) == (start > duration)
    if found is not None:
        assert 0 <= found[0] <= found[1] <= duration or end > duration >= found[0]
