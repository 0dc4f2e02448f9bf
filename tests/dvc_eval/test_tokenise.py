"""The native tokeniser: worked rows of CoreNLP 3.4.1's behaviour, and what it must leave alone."""

import pytest

from hicm.dvc_eval.plain import ABBREVIATIONS, plain_tokens
from hicm.dvc_eval.tokenise import PtbTokeniser, clean

# Measured with the CoreNLP jar, and checked against it in test_tokenise_java.py.
KNOWN = {
    "": "",
    "  ,  ": "",
    ".": "",
    "Add the salt, stir and taste.": "add the salt stir and taste",
    "hello,world": "hello world",
    "don't can't won't I'm we'll they've he'd": "do n't ca n't wo n't i 'm we 'll they 've he 'd",
    "cannot gonna wanna gimme lemme gotta": "can not gon na wan na gim me lem me got ta",
    "Smith's dog": "smith 's dog",
    "dogs' cats'": "dogs cats",
    "3x4 or 10th 50mins 20cm 5 cups": "3x4 or 10th 50mins 20cm 5 cups",
    "2-3 and/or a/b 1/2-inch": "2-3 and/or a/b 1/2-inch",
    "50% of it": "50 % of it",
    "well-known t-shirt state-of-the-art re-do": "well-known t-shirt state-of-the-art re-do",
    'he says "go", and "stop".': "he says go and stop",
    "colour centre": "colour centre",
    "salt & pepper - mixed": "salt & pepper mixed",
}
UNKNOWN = [
    "add 1 1/2 cups", "salt, pepper, etc.", "say no.", "a capital T.", "the U.S. crowd", "hello!", "really?", "(or so)",
    "5 555 1234", "1,000", "12:30", "3.5", "$5", "#1", "a_b", "rock 'n' roll", "o'clock'", "y'all", "one,two-three",
    '12" pan', "...", "x..", "--", "a;b", "anti- war", "caf\u00e9", "\u212aelvin", "\u0661", "tab\there", "3\u00bd",
    "foo-o'll go", "isnn't",
]


@pytest.mark.parametrize(("caption", "tokens"), KNOWN.items())
def test_known(caption: str, tokens: str) -> None:
    assert plain_tokens(caption) == tokens


@pytest.mark.parametrize("caption", UNKNOWN)
def test_left_to_the_tokeniser(caption: str) -> None:
    assert plain_tokens(caption) is None


def test_abbreviations_keep_their_stop_only_at_the_end() -> None:
    for word in ABBREVIATIONS:
        assert plain_tokens(f"go {word}.") is plain_tokens(f'go "{word.upper()}."') is None
        assert plain_tokens(f"go {word} .") == plain_tokens(f"go {word}") == f"go {word}"


def test_order_and_number_of_captions() -> None:
    captions = ["stir it.", "", "add salt"]
    assert PtbTokeniser().tokenise(captions) == ["stir it", "", "add salt"]
    assert PtbTokeniser().tokenise([]) == []


def test_clean() -> None:
    warnings: list[str] = []
    assert clean(["don\u2019t", "a\nb", "a\rb", "a\u2028b", "\x85 \x1c"], "predictions", warnings) == [
        "don t", "a b", "a b", "a b", "  \x1c"]
    assert warnings == [
        "predictions: 2 captions hold a line break (CR, VT, FF, U+2028 or U+2029); read as a blank",
        "predictions: 3 captions hold characters outside ASCII; read as blanks, as the toolkits do"]
