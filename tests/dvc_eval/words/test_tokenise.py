"""The tokeniser's interface: order, number, and what is cleaned before it."""

from hicm.dvc_eval.words.tokenise import PtbTokeniser, clean


def test_order_and_number_of_captions() -> None:
    captions = ["stir it.", "", "add salt"]
    assert PtbTokeniser().tokenise(captions) == ["stir it", "", "add salt"]
    assert PtbTokeniser().tokenise([]) == []


def test_captions_beyond_the_proven_rules_are_counted() -> None:
    tokeniser = PtbTokeniser()
    tokeniser.tokenise(["stir it.", "salt &hellip; pepper"])
    assert tokeniser.unproven == ["salt &hellip; pepper"]
    tokeniser.tokenise(["stir it."])
    assert not tokeniser.unproven


def test_clean() -> None:
    assert clean(["don\u2019t", "a\nb", "a\rb", "a\u2028b", "\x85 \x1c"]) == ["don t", "a b", "a b", "a b", "  \x1c"]
    assert clean(["don\u2019t", "a\rb", "a\u2028b"], ascii_only=False) == ["don\u2019t", "a b", "a b"]
