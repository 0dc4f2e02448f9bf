"""YAML as settings use it: plain data only, the same after writing and reading, nothing that fills the memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.strict import parse_yaml, to_yaml

WORDS = st.text() | st.sampled_from(["1e5", "3e-4", "yes", "no", "on", "null", "~", "1:30", "2024-01-01", "0x1", "- a",
                                     "a: b", "[", "#", "true", " x ", "1_000", ".5e3", "<<", "010", "08", "0o7",
                                     "0b1", "1_0e3", "1._5"])
PLAIN = st.recursive(st.none() | st.booleans() | st.integers() | WORDS | st.floats(allow_nan=False),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize(("text", "match"), [
    (BOMB, "again and again"), (MERGED, "again and again"), ("&a [*a]", "holds itself"), ("a: &a {b: *a}", "holds its"),
    ("a: !!python/object:os.x {}", "constructor"), ("a: !!set {b}", "constructor"), ("a: !!binary aa", "constructor"),
    ("a: !!bool x", "not valid"), ("a: !!int ''", "not valid"), ("a: !!timestamp x", "not valid"),
    ("a: 0x" + "f" * 9999, "300 digits"), ("a: " + "9" * 5000, "not valid"), ("- " * 3000, "not valid"),
    ("[" * 200 + "]" * 200, "nested more than 100"), ("? [a]\n: b", "unhashable"), ("a: \0", "not valid")])
def test_yaml_that_is_no_plain_data(text, match):
    with pytest.raises(UserError, match=match) as refusal:
        parse_yaml(text, "x.yaml")
    assert str(refusal.value).startswith("x.yaml") and "\n" not in str(refusal.value)


def test_anchors_are_read():
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]", "") == {
        "a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}] * 2}


@settings(deadline=None, max_examples=40)
@given(PLAIN)
def test_plain_data_survives_yaml(content):
    assert parse_yaml(to_yaml(content), "") == content
