"""The native tokeniser against the CoreNLP jar: equal on everything that it claims (marker java).

Prints how much it claims (pytest -m java -s).
"""

import itertools
import json
import random
import re
import string
from pathlib import Path

import pytest
from test_tokenise import KNOWN

from hicm.dvc_eval.plain import ABBREVIATIONS, SPLIT, plain_tokens
from hicm.dvc_eval.tokenise import clean, corenlp_tokens

pytestmark = pytest.mark.java


def compare(captions: list[str], what: str) -> int:
    """Number of captions claimed; fails where one differs from the jar."""
    wrong, claimed = [], 0
    for at in range(0, len(captions), 200_000):
        part = captions[at:at + 200_000]
        for caption, expected in zip(part, corenlp_tokens(part), strict=True):
            tokens = plain_tokens(caption)
            claimed += tokens is not None
            if tokens not in (None, expected):
                wrong.append((caption, expected, tokens))
    print(f"\n{what}: {claimed} of {len(captions)} captions tokenised without Java, {len(wrong)} wrong")
    assert not wrong, wrong[:10]
    return claimed


def words_of(shared: Path) -> list[str]:
    """Every word of the annotations."""
    return sorted({word for caption in captions_of(shared) for word in re.findall("[a-z]+", caption.lower())})


def captions_of(shared: Path) -> list[str]:
    found: set[str] = set()
    for name in ("yc2/train", "yc2/val", "anet/train", "anet/val_1", "anet/val_2"):
        for entry in json.loads((shared / "data" / f"{name}.json").read_text()).values():
            found.update(entry["sentences"])
    return sorted(found)


def test_known_rows() -> None:
    assert corenlp_tokens(list(KNOWN)) == list(KNOWN.values())


def test_all_real_captions(shared: Path) -> None:
    captions = clean(captions_of(shared), "captions", [])
    assert compare(captions, "YouCook2 and ActivityNet Captions") > 0.99 * len(captions)


def test_own_result_is_the_same_in_any_company(shared: Path) -> None:
    captions = clean(captions_of(shared), "captions", [])[::40]
    shuffled = random.Random(0).sample(captions, len(captions))
    assert dict(zip(captions, corenlp_tokens(captions), strict=True)) == \
        dict(zip(shuffled, corenlp_tokens(shuffled), strict=True))


def test_every_short_word_before_a_full_stop() -> None:
    words = ["".join(letters) for size in (1, 2, 3, 4) for letters in itertools.product(string.ascii_lowercase,
                                                                                        repeat=size)]
    compare([f"x {form}." for word in words for form in (word, word.capitalize())], "words of up to four letters")


def test_every_real_word_in_every_place(shared: Path) -> None:
    forms = ("{}", "x {} y", "x {}.", '"{}."', "x {}, y", "x {},y", "x {}'s y", "x foo-{}.", "5 {} y", "x 12{}",
             "{}- y")
    compare([form.format(word) for word in words_of(shared) for form in forms], "real words in eleven places")


@pytest.mark.parametrize("seed", range(2))
def test_fuzz(shared: Path, seed: int) -> None:
    """Random strings of hard pieces and gaps; about a quarter is claimed."""
    draw, words = random.Random(seed), words_of(shared)
    rare = [*SPLIT, *sorted(ABBREVIATIONS), *string.ascii_lowercase, "us", "am", "pm", "oz", "lb", "th", "lrb"]
    odd = ["'", "--", "...", "!", "?", "(", ")", "#1", "$5", "1.5", "1,000", "12:30", "a.m.", "U.S.", "`", ";", ":"]
    gaps = [" "] * 12 + [", "] * 3 + [",", " ,", "  ", ' "', '" ', '"', " , ", '","', '", ', '",', ",,", '""', ". "]
    ends = [""] * 4 + ["."] * 4 + [" .", '."', '".', '"', ",", "..", "!", ' ". ', ",."]

    def word() -> str:
        chosen = draw.choice(draw.choice((words, words, rare)))
        return draw.choice((chosen, chosen, chosen.capitalize(), chosen.upper()))

    def number(digits: int) -> str:
        return str(draw.randrange(10 ** draw.randint(1, digits)))

    def piece() -> str:
        return draw.choice((
            word, word, word, word, lambda: f"{word()}-{word()}", lambda: f"{word()}/{word()}", lambda: f"{word()}-",
            lambda: word() + draw.choice(("'s", "'S", "'m", "'d", "'re", "'ve", "'ll", "n't", "s'", "'")),
            lambda: f"{word()}-{word()}'s", lambda: number(5), lambda: number(3) + draw.choice("-/x") + number(3),
            lambda: number(4) + word(), lambda: word() + number(2), lambda: f"{number(4)}%", lambda: "&",
            lambda: f"{number(2)}-{word()}", lambda: "-", lambda: f"{number(2)}-", lambda: draw.choice(odd)))()

    def caption() -> str:
        text = draw.choice(("",) * 8 + (" ", '"', ","))
        for _ in range(draw.randint(1, 5)):
            text += piece() + draw.choice(gaps)
        return text.rstrip() + draw.choice(ends)

    compare([caption() for _ in range(100_000)], "random strings")
