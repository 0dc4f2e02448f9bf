"""Tokens of captions without Java: the published table, made-up captions against the jar's output, properties."""

import gzip
import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.dvc_eval.words import ptb
from hicm.dvc_eval.words.ptb import DROPPED, ptb_tokenise
from hicm.dvc_eval.words.tokenise import JarTokeniser
from tests.golden.make_ptb import COUNT, FAMILIES, SEED, odd_captions

# Seen at CoreNLP 3.4.1, punctuation dropped; ⍽ stands for the no-break space inside a token.
TABLE = """
don't can't won't I'm we'll they've he'd => do n't ca n't wo n't i 'm we 'll they 've he 'd
cannot gonna wanna gimme lemme gotta 'tis d'ye => can not gon na wan na gim me lem me got ta 't is d'ye
Smith's dog => smith 's dog
dogs' cats' => dogs cats
1990's => 1990 's
the '90s => the '90s
rock 'n' roll o'clock y'all ma'am => rock 'n' roll o'clock y' all ma'am
U.S. Mr. e.g. i.e. etc. vs. a.m. Jan. St. => u.s. mr. e.g. i.e. etc. vs. a.m. jan. st.
No. 5 => no. 5
say no. => say no
a capital T. => a capital t.
T. The end => t the end
Rs.500 => rs .500
Dr.Who => dr.who
a.b.c. => a.b.c.
u.s.a => u.s.a
3.5 1,000,000 12:30 => 3.5 1,000,000 12:30
10:00am 1.5kg 20cm 3x4 10th 50mins => 10:00 am 1.5 kg 20cm 3x4 10th 50mins
$5.00 50% #1 @home => $ 5.00 50 % # 1 @home
2-3 1/4 1-1/2 1/2-inch and/or a/b => 2-3 1/4 1-1/2 1/2-inch and/or a/b
add 1 1/2 cups => add 1⍽1/2 cups
(555) 123-4567 => -lrb-555-rrb-⍽123-4567
2 1/2-inch => 2⍽1/2 inch
well-known t-shirt state-of-the-art re-do => well-known t-shirt state-of-the-art re-do
(or "so")... => -lrb- or so -rrb-
[x] => -lsb- x -rsb-
{x} => -lcb- x -rcb-
...start => start
mid...dle => mid dle
hello,world => hello world
a;b => a b
a:b => a b
hello!world => hello!world
hello?world => hello?world
. . . !! ?! ? => !! ?!
--- -- - =>
.... =>
a*b a+b=c a_b a~b a^b a|b => a * b a + b = c a_b a ~ b a ^ b a | b
a&b => a & b
||| => | | |
it`s => it s
<b>bold</b> => <b> bold </b>
<3 => < 3
<angle> => <angle>
http://www.foo.com/a?b=c foo@bar.com => http://www.foo.com/a?b=c foo@bar.com
:) => :-rrb-
:-( => :--lrb-
;-) => ;--rrb-
12" 6' => 12 6
abc123!@# => abc123!@#
colour centre => colour centre
£5 => # 5
€3 => $ 3
½ => 1/2
"""
ROWS = [line.partition(" =>")[::2] for line in TABLE.strip().splitlines()]


def read_made_up(golden) -> list[tuple[str, str]]:
    """Captions with the jar's tokens."""
    return json.loads(gzip.decompress((golden / "ptb_made_up.json.gz").read_bytes()))["captions"]


def disagreement(captions: list[str], answers: list[str]) -> tuple[list, list]:
    """(caption, jar, ours) where they differ: where the rules are claimed to be proven, and where they are not."""
    proven, unproven = [], []
    for caption, answer in zip(captions, answers, strict=True):
        tokens, claimed = ptb_tokenise(caption)
        if tokens != answer:
            (proven if claimed else unproven).append((caption, answer, tokens))
    return proven, unproven


@pytest.mark.parametrize(("caption", "tokens"), ROWS, ids=[caption for caption, _ in ROWS])
def test_the_published_table(caption, tokens):
    assert ptb_tokenise(caption) == (tokens.strip().replace("⍽", "\u00a0"), True)


def test_made_up_captions_agree_with_the_jar(golden):
    rows = read_made_up(golden)
    assert len(rows) >= 1400
    proven, unproven = disagreement(*zip(*rows, strict=True))
    assert not proven
    claimed = sum(ptb_tokenise(caption)[1] for caption, _ in rows)
    assert claimed >= 0.9 * len(rows)
    assert len(unproven) < len(rows) - claimed


def test_the_golden_file_is_what_its_script_makes(golden):
    assert [caption for caption, _ in read_made_up(golden)] == odd_captions(COUNT, SEED)


@pytest.mark.parametrize("caption", ["жук", "a\u0301", "\x01", "a\rb", "caf&eacute;", "&#39;", "😀", "x" * 2000,
                                     "<a " + "b " * 600 + ">"])
def test_what_is_not_proven_is_said(caption):
    assert not ptb_tokenise(caption)[1]


def test_golden_tokens_of_real_captions(shared):
    tokenised = json.loads((shared / "golden" / "dvc_eval_protocols" / "scores.json").read_text())["tokenised"]
    assert len(tokenised) > 500
    assert {caption: ptb_tokenise(caption) for caption in tokenised} == {
        caption: (tokens, True) for caption, tokens in tokenised.items()}


def real_captions(shared) -> list[str]:
    """All distinct captions of YouCook2 and ActivityNet, as written and with blanks for what is not ASCII."""
    captions = {}
    for name in ("yc2/train", "yc2/val", "anet/train", "anet/val_1", "anet/val_2"):
        for video in json.loads((shared / "data" / f"{name}.json").read_text()).values():
            for caption in video["sentences"]:
                captions[caption] = captions[re.sub(r"[^\x00-\x7f]", " ", caption)] = None
    return list(captions)


def test_the_rules_are_proven_for_all_real_captions(shared):
    captions = real_captions(shared)
    assert len(captions) > 80_000
    assert all(ptb_tokenise(caption)[1] for caption in captions)


@given(st.text(max_size=60))
def test_any_text_gives_one_line_of_tokens(text):
    tokens, proven = ptb_tokenise(text)
    assert isinstance(proven, bool)
    assert not re.search(r"[\n\t]|  |^ | $", tokens)
    assert DROPPED.isdisjoint(tokens.split(" "))


@given(st.text(alphabet="aBé1.,'’-/&@ \n\t(<T", max_size=30))
def test_blanks_around_a_caption_and_line_feeds_do_not_matter(text):
    tokens = ptb_tokenise(text)
    assert ptb_tokenise(f"  {text} \n") == tokens
    assert ptb_tokenise(text.replace("\n", " ")) == tokens


@given(st.lists(st.sampled_from(["cut", "the", "well-known", "do", "n't", "'s", "can", "not", "$", "5.00", "1/2",
                                 "u.s.", "mr.", "and/or"]), max_size=8).map(" ".join))
def test_tokens_of_plain_captions_are_their_own_tokens(tokens):
    assert ptb_tokenise(tokens) == (tokens, True)


@given(st.lists(st.sampled_from(["cut", "the", "onions,", "(some)", "don't", "etc.", "said:", '"well"', "and/or"]),
                max_size=6))
def test_words_that_stand_alone_are_tokenised_alone(words):
    alone = [ptb_tokenise(word)[0] for word in words]
    assert ptb_tokenise(" ".join(words))[0] == " ".join(alone)


@given(st.lists(st.sampled_from(["cut", "onions,", "etc.", "no.", "pan.", "A.", "The", "1", "1/2", ".5", ".", "<b",
                                 "'n'", "a>", "(", "-", "don't", "gonna,", "&amp;", "caf\u00e9", "mfg.",
                                 "pa."]), max_size=7))
def test_words_known_beforehand_change_nothing(words):
    """The rules alone, without the table of words, give the same tokens whatever stands beside a word."""
    caption = " ".join(words)
    assert ptb_tokenise(caption)[0] == " ".join(ptb._scan(caption))


@pytest.mark.parametrize("unit", ["a,", "a@", "<!a", "#a.", "<a ", "é'a", "A.  ", "1 ", "www.", "("])
def test_time_is_linear_in_the_length(unit):
    assert len(ptb_tokenise(unit * 2000)[0]) >= 2000  # a search without a limit would take minutes here


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_words_of_letters_are_one_token_but_for_six(parts: int) -> None:
    """What is taken for granted of them is what the rules say, also of pieces that rules begin with."""
    pieces = ["can", "not", "gon", "na", "got", "ta", "lem", "me", "wan", "dr", "Mr", "NO", "etc", "pro", "www", "com",
              "a", "T", "nt", "s", "pot"]
    for made in itertools.product(pieces, repeat=parts):
        word = "".join(made)
        if word.lower() not in ptb.CUT:
            assert ptb._scan(word) == [word.lower()], word
    assert all(len(ptb._scan(word)) == 2 for word in ptb.CUT)


def test_ten_thousand_words():
    assert ptb_tokenise("Cut the onions. " * 4000) == (("cut the onions " * 4000).strip(), True)


@pytest.mark.java
def test_odd_captions_against_the_jar(capsys):
    rows = []
    for family in FAMILIES:
        captions = odd_captions(3000, seed=1, families=[family])
        proven, unproven = disagreement(captions, JarTokeniser().tokenise(captions))
        claimed = sum(ptb_tokenise(caption)[1] for caption in captions)
        rows.append((family, len(captions), len(proven) + len(unproven), claimed, len(proven)))
    rows.append(("all", *(sum(row[column] for row in rows) for column in range(1, 5))))
    with capsys.disabled():
        print("\nodd captions against the jar")
        for family, captions, different, claimed, wrong in rows:
            print(f"{family:>13}: {different:4} of {captions:5} differ ({different / captions:.2%}); "
                  f"{wrong} of {claimed:5} claimed as proven")
    assert not any(wrong for *_, wrong in rows)


@pytest.mark.java
def test_all_real_captions_against_the_jar(shared):
    captions = real_captions(shared)
    proven, unproven = disagreement(captions, JarTokeniser().tokenise(captions))
    assert not proven
    assert not unproven
