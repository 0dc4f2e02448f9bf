"""METEOR without Java: equal to the jar, pair by pair and summed."""

import gzip
import hashlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor import CHUNKS, JarMeteor, total
from hicm.dvc_eval.words.meteor15 import NativeMeteor, index, layout
from hicm.dvc_eval.words.meteor15.normalise import Prefixes, normalise
from hicm.dvc_eval.words.meteor15.stem import stem
from hicm.dvc_eval.words.meteor15.synonyms import parse_exceptions, parse_synsets, synset_set
from hicm.dvc_eval.words.meteor15.words import word_key
from hicm.errors import UserError

TOGETHER = {  # sha256 of a file's lines -> the score of all its pairs as one: the jar's answer to one EVAL
    "ebfe185d868b02288d3c82df15aa141e7a7d996feb0964a885b91bc0a95054cd": 0.2842523269382999,  # golden/make_meteor.py
    "1a176b7266417452ef72933a853ad0eb4fea841ccc3f4a2e83c675107771b353": 0.1985870872285393,  # specification, 13
}
MATCHED_1, MATCHED_2 = 21, 22


@pytest.fixture(scope="module")
def meteor() -> NativeMeteor:
    try:
        return NativeMeteor()
    except Unavailable as error:
        pytest.skip(str(error))


def one_sum(meteor: NativeMeteor, statistics: np.ndarray) -> float:
    return float(meteor.score(total(statistics, np.zeros(len(statistics), dtype=np.int64), 1))[0])


def check_golden(meteor: NativeMeteor, path: Path) -> bool:
    """Statistics equal in every pair, scores to 1e-12, and that of their sum where it is known; returns whether."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    lines = [json.loads(line) for line in content.splitlines()]
    assert lines, f"{path} is empty"
    statistics = meteor.statistics([(line["candidate"], line["reference"]) for line in lines])
    wanted = np.array([[float(number) for number in line["stats"].split()] for line in lines])
    wrong = np.flatnonzero((statistics != wanted).any(axis=1))
    assert not len(wrong), f"{len(wrong)} of {len(lines)} pairs differ, first {lines[wrong[0]]}"
    scores = np.array([line["score"] for line in lines])
    np.testing.assert_allclose(meteor.score(statistics), scores, rtol=0, atol=1e-12)
    together = TOGETHER.get(hashlib.sha256(content).hexdigest())
    if together is not None:
        assert one_sum(meteor, statistics) == pytest.approx(together, abs=1e-12)
    return together is not None


def test_made_up_captions(meteor: NativeMeteor, golden: Path) -> None:
    assert check_golden(meteor, golden / "meteor_made_up.jsonl.gz"), "the score of all pairs as one is known"


def test_any_file_of_pairs_can_be_checked(meteor: NativeMeteor, golden: Path, tmp_path: Path) -> None:
    """Whatever it is called and however it is stored: a part of the pairs has another sum than all of them."""
    lines = gzip.decompress((golden / "meteor_made_up.jsonl.gz").read_bytes()).splitlines(keepends=True)[:20]
    (tmp_path / "meteor_pairs.jsonl.gz").write_bytes(gzip.compress(b"".join(lines)))
    (tmp_path / "mine.jsonl").write_bytes(b"".join(lines))
    for name in ("meteor_pairs.jsonl.gz", "mine.jsonl"):
        assert not check_golden(meteor, tmp_path / name)


def test_real_captions(meteor: NativeMeteor, request: pytest.FixtureRequest) -> None:
    named = os.environ.get("HICM_METEOR_GOLDEN")
    check_golden(meteor, Path(named) if named
                 else request.getfixturevalue("shared") / "golden" / "meteor_pairs.jsonl.gz")


# --- the parts ------------------------------------------------------------------------------------------------

PREFIXES = Prefixes.parse("# comment\n\nMr\nU\ne.g\nNo #NUMERIC_ONLY#\n")


@pytest.mark.parametrize(("text", "tokens"), [
    ("", ""), (" \t\n ", ""), ("A man.", "a man ."), ("plain words 12", "plain words 12"),
    ("a,b 1,2 1,b a,2", "a , b 1,2 1 , b a , 2"), ("a-b-c", "a b-c"), ("a--b", "a b"), ("a – b", "a - b"),
    ("a—b", "a — b"),
    ("it's 'em dogs' o'clock 5's 5't", "it 's ' em dogs ' o 'clock 5 's 5't"), ("``so'' “so”", '" so " " so "'),
    ("so...", "so ..."), ("a..b....c", "a .. b .... c"), ("U.S. and", "us and"), ("Mr. X. Mr.", "mr. x . mr."),
    ("No. 5 No. five No. Five", "no. 5 no. five no . five"), ("end. next", "end. next"), ("end. Next", "end . next"),
    ("p.m. e.g. 3.5.", "pm eg 3.5 ."), ("a\x0bb", "a\x0bb"), ("a\u00a0b\u3000c", "a b c"), ("\x01a\x01", "a"),
    ("ÀÉ İ ß", "àé i̇ ß"), ("x²", "x ²"), ("DOTMULTI.x", ".. x"), ("." * 100_000, "." * 100_000),
])
def test_normalise(text: str, tokens: str) -> None:
    """By the rules of the specification's section 3."""
    assert " ".join(normalise(text, PREFIXES)) == tokens


@given(st.text(alphabet="ab .,'-\"I3é\u2019", max_size=30))
def test_tokens_keep_letters_and_digits(text: str) -> None:
    tokens = normalise(text, PREFIXES)
    assert all(token and token == token.lower() and " " not in token for token in tokens)
    assert "".join(filter(str.isalnum, "".join(tokens))) == "".join(filter(str.isalnum, text.lower()))


@pytest.mark.parametrize(("word", "wanted"), [
    # snowballstemmer 2.2.0, english; the last two are words where other revisions and NLTK differ.
    ("skies", "sky"), ("dying", "die"), ("news", "news"), ("by", "by"), ("'tis", "tis"), ("dog's", "dog"),
    ("caresses", "caress"), ("ties", "tie"), ("cries", "cri"), ("gas", "gas"), ("gaps", "gap"), ("bus", "bus"),
    ("agreed", "agre"), ("hopping", "hop"), ("hoping", "hope"), ("bleed", "bleed"), ("proceed", "proceed"),
    ("luxuriating", "luxuri"), ("youth", "youth"), ("boyish", "boyish"), ("say", "say"), ("happily", "happili"),
    ("generously", "generous"), ("communism", "communism"), ("arsenic", "arsenic"), ("rolling", "roll"),
    ("sensational", "sensat"), ("formative", "format"), ("adoption", "adopt"), ("apologist", "apologist"),
    ("realization", "realiz"), ("vocationally", "vocat"),
])
def test_stem(word: str, wanted: str) -> None:
    assert stem(word) == wanted


def test_keys_collide_where_the_jars_do() -> None:
    """The specification's section 4."""
    for one, other in [("all", "an."), ("will", "win."), ("bowl", "boy."), ("55", "3s"), ("90s", "925")]:
        assert word_key(one) == word_key(other)
    assert word_key("a") != word_key("b")
    assert word_key("😀") == 31 * 0xD83D + 0xDE00  # two UTF-16 units


def test_synsets() -> None:
    own = parse_synsets("box\n01 02\nman\n03\nmen\n09\nglass\n04\nglas\n08\ngo\n05\nhat\n06\nhate\n07\n")
    bases = parse_exceptions("go\nwent gone\ndo\ngone\n")

    def found(word: str) -> set[int]:
        return synset_set(word, lambda key: own.get(key, ()), bases)

    assert found("boxes") == {1, 2} and found("men") == {9, 3} and found("went") == {5} and found("gone") == {5}
    assert found("glass") == {4}  # words in ss are not inflected
    assert found("hated") == {7} and found("hats") == {6} and found("nothing") == set()


# --- properties -----------------------------------------------------------------------------------------------

WORDS = ["a", "the", "of", "man", "men", "walks", "walking", "cuts", "chop", "onion", "onions", "big", ",", "."]
CAPTIONS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@settings(deadline=None, max_examples=50)
@given(pairs=st.lists(st.tuples(CAPTIONS, CAPTIONS), min_size=1, max_size=8), pick=st.randoms())
def test_pairs_do_not_see_each_other(meteor: NativeMeteor, pairs: list[tuple[str, str]], pick: random.Random) -> None:
    """Alone, in any order and in any company, a pair has the same statistics; so sums do not depend on the order."""
    together = meteor.statistics(pairs)
    alone = np.concatenate([meteor.statistics([pair]) for pair in pairs])
    np.testing.assert_array_equal(together, alone)
    order = list(range(len(pairs)))
    pick.shuffle(order)
    np.testing.assert_array_equal(meteor.statistics([pairs[at] for at in order]), together[order])
    assert one_sum(meteor, together) == one_sum(meteor, together[order])


@settings(deadline=None, max_examples=50)
@given(one=CAPTIONS, two=CAPTIONS)
def test_statistics_fit_each_other(meteor: NativeMeteor, one: str, two: str) -> None:
    row = meteor.statistics([(one, two)])[0]
    assert list(row[:2]) == [len(normalise(one, PREFIXES)), len(normalise(two, PREFIXES))]
    for side in (0, 1):
        assert row[4 + side:20:2].sum() == row[MATCHED_1 + side] <= row[side]
        assert row[6 + side:20:4].sum() <= row[2 + side] <= row[side]
    assert row[CHUNKS] <= min(row[MATCHED_1], row[MATCHED_2]) and (row[CHUNKS] > 0) == (row[MATCHED_1] > 0)
    assert 0 <= meteor.score(row[None])[0] <= 1


@settings(deadline=None, max_examples=30)
@given(caption=CAPTIONS.filter(bool))
def test_a_caption_matches_itself(meteor: NativeMeteor, caption: str) -> None:
    row = meteor.statistics([(caption, caption)])[0]
    assert row[MATCHED_1] == row[MATCHED_2] == row[0] == row[4] + row[6] and row[CHUNKS] == 1
    assert meteor.score(row[None])[0] == 1


def test_nothing_scores_0(meteor: NativeMeteor) -> None:
    statistics = meteor.statistics([("", ""), ("", "a man"), ("a man", ""), ("onion", "car")])
    assert meteor.score(statistics).tolist() == [0, 0, 0, 0]
    assert statistics[:, :2].tolist() == [[0, 0], [0, 2], [2, 0], [1, 1]]
    assert meteor.statistics([]).shape == (0, 23) and meteor.score(np.zeros((0, 23))).shape == (0,)
    assert one_sum(meteor, statistics) == 0


def test_a_bar_inside_makes_several_references(meteor: NativeMeteor) -> None:
    """The best counts, of equal ones the first; a candidate loses its bars (the jar's answers are in the golden)."""
    several, best, barred = meteor.statistics([("cut it", "a kite|||cut it|||cut it now"), ("cut it", "cut it"),
                                               ("cut|||  it", "cut it")])
    assert several.tolist() == best.tolist() == barred.tolist()


def test_long_captions_are_scored_in_blocks(meteor: NativeMeteor, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("the man cuts the onion " * n, "a man chops onions " * (9 - n)) for n in range(1, 9)] * 3
    wanted = meteor.statistics(pairs)
    monkeypatch.setattr("hicm.dvc_eval.words.meteor15.native.CELLS", 1000)
    np.testing.assert_array_equal(meteor.statistics(pairs), wanted)


def test_ten_thousand_words(meteor: NativeMeteor) -> None:
    """Against an ordinary caption they are scored; the same word on both sides is refused, where the jar fails."""
    row = meteor.statistics([("the man cuts a big onion " * 2000, "a man chops the onions")])[0]
    assert row[0] == 12000 and row[MATCHED_2] == 4
    assert layout.MOST < 10_000 ** 2
    with pytest.raises(UserError, match=r"thousands of words .*\(of 10000 and 9999 words\); shorten or remove"):
        meteor.statistics([("a man", "a man"), ("a " * 10_000, "a " * 9_999)])


# --- the index on disk ----------------------------------------------------------------------------------------

def test_data_must_be_those_of_meteor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for inside in index.DIGESTS:
        path = tmp_path / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("another version")
    monkeypatch.setattr(index, "find_jar", lambda inside: tmp_path / inside)
    with pytest.raises(Unavailable, match=r"meteor-1\.5\.jar: not the file of pycocoevalcap 1\.2; pip install"):
        index.find_sources()


def test_numba_is_imported_late_and_named_when_missing() -> None:
    program = """if True:
        import sys
        import hicm.dvc_eval, hicm.dvc_eval.words.meteor15
        assert not {"numba", "llvmlite", "torch"} & set(sys.modules)
        sys.modules["llvmlite"] = None
        try:
            hicm.dvc_eval.words.meteor15.NativeMeteor()
        except hicm.dvc_eval.words.java.Unavailable as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "METEOR without Java needs numba; pip install numba\n"


@pytest.mark.slow
def test_first_use(tmp_path: Path) -> None:
    """Index and loops from nothing: a file each in the cache, bars on standard error; 25 s on two idle cores."""
    program = ("from hicm.dvc_eval.words.meteor15 import NativeMeteor\n"
               "meteor = NativeMeteor()\n"
               "print({name: array.shape for name, array in meteor._index.items() if name in ('strings', 'ranks')})\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    # The numbers of distinct strings and of pairs in the table: its specification, section 5.3.  No hash collides.
    assert done.stdout == "{'strings': (2616378,), 'ranks': (5274084,)}\n"
    assert "METEOR's data (once)" in done.stderr and "METEOR's loops (compiled once)" in done.stderr
    kept = sorted(path.name for path in (tmp_path / "cache" / "hicm").iterdir())
    assert kept[:2] == [index.NAME, Path(index.NAME).with_suffix(".lock").name]
    assert [re.sub("[0-9a-f]{16}", "KEY", name) for name in kept[2:]] == [
        "meteor15-loops-KEY.index", "meteor15-loops-KEY.lock"]


# --- against the jar --------------------------------------------------------------------------------------------

PIECES = ["...", "..", "U.S.", "e.g.", "Mr.", "No. 5", "1,000", "1,a", "'s", "don't", "''", "``", "--", "a-b-c", "x.-y",
          "3.5.", "DOTMULTI.", "5's", "rock'n'roll", "Art. 7", "É.", "(a)", "’s", "ﬁ", "İ", "ΣΑΣ", "ß", "a..b", "–",
          "😀", "|||", "\x0b", "\u00a0", "all", "an.", "running", "runs", "churches", "the", "a", "man", "men", "car",
          "automobile", "lot", "of"]


@pytest.mark.java
def test_fuzz_against_the_jar(meteor: NativeMeteor, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Odd strings and real captions, whole and mixed with odd pieces: the rate of disagreement is printed."""
    pick = random.Random(os.environ.get("HICM_FUZZ_SEED", "0"))
    videos = [video["sentences"] for name in ("yc2/val.json", "anet/val_1.json")
              for video in json.loads((shared / "data" / name).read_text()).values()]
    words = sorted({word for video in videos for caption in video for word in caption.split()})

    def real() -> str:
        return pick.choice(pick.choice(videos))

    def odd() -> str:
        pieces = [pick.choice(pick.choice((PIECES, words))) for _ in range(pick.randint(0, 15))]
        return pick.choice([" ", " ", ""]).join(pieces)

    def noise() -> str:
        return "".join(pick.choice("abI .,'-`\"’“–…é3!()|\t\u00a0") for _ in range(pick.randint(0, 30)))

    pairs = [(real(), odd()) for _ in range(1000)] + [(odd(), odd()) for _ in range(1000)]
    pairs += [(noise(), noise()) for _ in range(1000)]
    pairs += [(pick.choice(video), pick.choice(video)) for video in pick.choices(videos, k=1000)]
    pairs = [(one.replace("\n", " "), two.replace("\n", " ")) for one, two in pairs]
    with JarMeteor() as jar:
        wanted = jar.statistics(pairs)
        scores = jar.score(wanted)
    found = meteor.statistics(pairs)
    wrong = np.flatnonzero((found != wanted).any(axis=1))
    with capsys.disabled():
        print(f"\nMETEOR against the jar: {len(wrong)} of {len(pairs)} pairs disagree ({len(wrong) / len(pairs):.3%})")
    assert not len(wrong), f"first: {pairs[wrong[0]]}"
    np.testing.assert_allclose(meteor.score(found), scores, rtol=0, atol=1e-12)
