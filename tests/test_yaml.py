"""Yaml of unknown origin: plain data, or one line that says what is wrong."""

import pytest

from hicm.errors import UserError
from hicm.strict import parse_yaml

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
