import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.data.text import normalise
from hicm.errors import UserError


@given(st.text(min_size=1).filter(str.strip))
def test_form_of_any_text(text):
    found = normalise(text)
    assert found.endswith(".")
    assert found.rstrip(".") == text.strip().capitalize().rstrip(".")


@pytest.mark.parametrize(("text", "wanted"), [
    ("pick the ends off the verdalago", "Pick the ends off the verdalago."),
    ("  Add SALT. ", "Add salt."),
    ("wait...", "Wait..."),
    ("ready?", "Ready?."),
    ("ÉCLAIR", "Éclair."),
    (".", "."),
])
def test_golden(text, wanted):
    assert normalise(text) == wanted


@pytest.mark.parametrize("text", ["", "  \n"])
def test_blank_is_refused(text):
    with pytest.raises(UserError, match="empty text"):
        normalise(text)
