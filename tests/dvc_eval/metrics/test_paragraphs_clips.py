"""Paragraphs, clips, CIDEr over all pairs and SODA of several annotators: by hand, brute force and pycocoevalcap."""

import itertools
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.dvc_eval import Result, evaluate
from hicm.dvc_eval.inputs.protocols import PARAGRAPH_METRICS
from hicm.errors import UserError

Side = dict[str, list[tuple[Sequence[float], str]]]  # video -> (span, caption) of its events
TIOUS = (0.3, 0.5, 0.7, 0.9)
NO_METEOR = [name for name in PARAGRAPH_METRICS if name != "para_METEOR"]
CAPTIONS = ["CIDEr", "ROUGE_L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4"]


def score(predicted: Side, annotators: Sequence[Side], protocol: str, metrics: Sequence[str] | None = None,
          **options: Any) -> Result:
    predictions = {video: [{"sentence": text, "timestamp": span} for span, text in rows]
                   for video, rows in predicted.items()}
    references = [{video: {"timestamps": [span for span, _ in rows], "sentences": [text for _, text in rows]}
                   for video, rows in side.items()} for side in annotators]
    return evaluate(predictions, references, protocol, metrics=metrics, **options)


def spread(**videos: Sequence[str]) -> Side:
    """Captions at some time or other: where it does not matter."""
    return {video: [([10 * at, 10 * at + 9], text) for at, text in enumerate(texts)] for video, texts in videos.items()}


@pytest.fixture(scope="module")
def coco() -> SimpleNamespace:
    """The scorers of pycocoevalcap that are plain Python: lists of hypotheses and of their references -> scores."""
    pytest.importorskip("pycocoevalcap")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    def scores(predicted: Sequence[str], reference: Sequence[Sequence[str]]) -> tuple[dict[str, float], dict[str, Any]]:
        both = dict(enumerate(map(list, reference))), {at: [text] for at, text in enumerate(predicted)}
        bleu, _ = Bleu(4).compute_score(*both, verbose=0)
        cider, each_cider = Cider().compute_score(*both)
        rouge, each_rouge = Rouge().compute_score(*both)
        return ({"CIDEr": cider, "ROUGE_L": rouge} | {f"Bleu_{n + 1}": value for n, value in enumerate(bleu)},
                {"CIDEr": each_cider, "ROUGE_L": each_rouge})
    return SimpleNamespace(scores=scores)


class WordMeteor:
    """Stands in for METEOR: words in common, all content words, no chunks.  ``asked``: the pairs of the last call."""

    name = "made-up"

    def statistics(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        self.asked = list(pairs)
        rows = np.zeros((len(pairs), 23))
        for row, (predicted, reference) in zip(rows, pairs, strict=True):
            row[:2] = len(predicted.split()), len(reference.split())
            row[4:6] = row[21:] = len(set(predicted.split()) & set(reference.split()))
        return rows

    def score(self, statistics: np.ndarray) -> np.ndarray:
        return np.array([f_of(row[4], *row[:2]) for row in statistics.reshape(-1, 23)])


def f_of(common: float, length: float, other: float) -> float:
    """METEOR's F without a penalty: recall counts 0.85."""
    return 1 / (0.15 * length / common + 0.85 * other / common) if common else 0.0


# paragraphs

def test_paragraphs_by_hand() -> None:
    """a: "add salt stir" for "add salt stir it"; b is missing, so it is empty, and counts."""
    result = score(spread(a=["Add 2 salt", "stir."]), [spread(a=["add salt", "Stir it!"], b=["boil rice"])], "hicm",
                   PARAGRAPH_METRICS, meteor=WordMeteor())
    shorter = np.exp(1 - 6 / 3)  # 3 words for 4 + 2
    assert [result.scores[f"para_Bleu_{n}"] for n in (1, 2, 3)] == pytest.approx([shorter] * 3, abs=1e-8)
    assert result.scores["para_Bleu_4"] == pytest.approx(shorter * 1e-6 ** 0.25, rel=1e-6)  # no 4-gram: 1e-15 / 1e-9
    assert result.scores["para_ROUGE_L"] == pytest.approx(2.44 * 0.75 / (0.75 + 1.44) / 2, abs=1e-12)
    # every n-gram has the same weight ln 2: cosines, a Gaussian of one bigram more, no 4-gram
    cosines = 3 / np.sqrt(3 * 4) + 2 / np.sqrt(2 * 3) + 1 / np.sqrt(1 * 2)
    assert result.scores["para_CIDEr"] == pytest.approx(10 * cosines / 4 * np.exp(-1 / 72) / 2, abs=1e-9)
    assert result.scores["para_METEOR"] == pytest.approx(f_of(3, 3, 4 + 2), abs=1e-12)
    assert result.coverage["missing"] == ["b"]
    assert result.per_video["a"]["para_METEOR"] == pytest.approx(f_of(3, 3, 4), abs=1e-12)


def test_an_empty_paragraph_is_an_empty_list_or_no_list() -> None:
    reference = [spread(a=["add the salt"], b=["boil rice"], c=["stir the pot"])]
    missing = score(spread(a=["add salt"], c=["stir"]), reference, "activitynet-2021", NO_METEOR)
    empty = score(spread(a=["add salt"], c=["stir"], b=[]), reference, "activitynet-2021", NO_METEOR)
    wordless = score(spread(a=["add salt"], c=["stir"], b=["4!", "2?"]), reference, "activitynet-2021", NO_METEOR)
    assert missing.scores == empty.scores == wordless.scores
    alone = score(spread(a=["add salt"], c=["stir"]), [{video: reference[0][video] for video in "ac"}],
                  "activitynet-2021", NO_METEOR)
    assert all(alone.scores[name] > value for name, value in missing.scores.items() if name != "para_CIDEr")
    assert missing.scores["para_CIDEr"] != alone.scores["para_CIDEr"]


@pytest.mark.parametrize("text", ["Add 2 (cups): café's-rice", "add\tcups,,caf s\nrice",
                                  "ADD_cups\u2028caf5s rice\u212a"])
def test_only_letters_count(text: str) -> None:
    """All that is no ASCII letter is a blank: digits, accents, underscores, the Kelvin sign, whose lower case is k."""
    other = spread(b=["boil the rice"])
    found = score(spread(a=[text]) | other, [spread(a=["add cups", "caf s rice"]) | other], "hicm", PARAGRAPH_METRICS,
                  meteor=WordMeteor())
    assert found.scores == pytest.approx(dict.fromkeys(PARAGRAPH_METRICS, 1.0) | {
        "para_CIDEr": 10 * (1 + 3 / 4) / 2}, abs=1e-8)  # three words have no 4-gram


def test_the_order_is_that_of_the_file() -> None:
    turned = {"a": [([50, 60], "add salt"), ([0, 10], "stir it")]}
    assert score(turned, [spread(a=["add", "salt stir", "it"])], "hicm", ["para_ROUGE_L"]).scores == {"para_ROUGE_L": 1}


def test_meteor_takes_the_best_reference_of_equal_ones_the_first() -> None:
    """Nothing of a is in either reference, so the first one's length counts; then the second holds half of it."""
    predicted = spread(a=["salt pot"], b=["stir rice"])
    first, second = spread(a=["one two three"], b=["stir rice"]), spread(a=["four"])

    def found(*annotators: Side) -> float:
        return score(predicted, annotators, "hicm", ["para_METEOR"], meteor=WordMeteor()).scores["para_METEOR"]
    assert found(first, second) == pytest.approx(f_of(2, 2 + 2, 3 + 2), abs=1e-12)
    assert found(second, first) == pytest.approx(f_of(2, 2 + 2, 1 + 2), abs=1e-12)
    assert found(first, spread(a=["salt and all that"])) == pytest.approx(f_of(1 + 2, 2 + 2, 4 + 2), abs=1e-12)


def paragraphs(predicted: Side, annotators: Sequence[Side]) -> tuple[list[str], list[list[str]]]:
    def text(rows: list) -> str:
        return " ".join(re.findall("[a-zA-Z]+", " ".join(caption for _, caption in rows))).lower()
    videos = sorted(set().union(*annotators))
    return ([text(predicted.get(video, [])) for video in videos],
            [[text(side[video]) for side in annotators if video in side] for video in videos])


def check_paragraphs(coco: SimpleNamespace, predicted: Side, annotators: Sequence[Side]) -> None:
    result = score(predicted, annotators, "activitynet-2018", NO_METEOR)
    expected, each = coco.scores(*paragraphs(predicted, annotators))
    assert {name: result.scores[f"para_{name}"] for name in expected} == pytest.approx(expected, abs=1e-9)
    for name, values in each.items():
        rows = result.measures[f"para_{name}"].statistics
        assert rows[:, 0].tolist() == pytest.approx(values.tolist(), abs=1e-9) and (rows[:, 1] == 1).all()


words = st.sampled_from(["add", "Stir", "the", "a", "pot's", "salt", "rice,", "and", "2", "hot", "pot", "..."])
captions = st.lists(words, max_size=6).map(" ".join)
spans = st.tuples(st.integers(0, 24), st.integers(1, 16)).map(lambda pair: [pair[0] / 2, (pair[0] + pair[1]) / 2])
rows = st.lists(st.tuples(spans, captions), min_size=1, max_size=5)


def files(rows: st.SearchStrategy[list]) -> st.SearchStrategy[tuple[Side, Side, Side]]:
    """Predictions, of which some are empty or missing, and two annotators; c is always there."""
    predicted = st.dictionaries(st.sampled_from("abc"), st.one_of(st.just([]), rows))
    reference = st.dictionaries(st.sampled_from("abcd"), rows)
    return st.tuples(predicted.map(lambda side: {"c": [([0, 9], "a")]} | side),
                     reference.map(lambda side: side | {"c": [([0, 10], "a the pot")]}),
                     st.dictionaries(st.sampled_from("abcd"), rows, min_size=1))


@settings(max_examples=40)
@given(files(rows))
def test_paragraphs_are_those_of_pycocoevalcap(coco: SimpleNamespace, case: tuple[Side, Side, Side]) -> None:
    """Videos missing, empty, of one annotator or two, of no letters at all."""
    check_paragraphs(coco, case[0], case[1:])


def test_golden_paragraphs_are_those_of_pycocoevalcap(coco: SimpleNamespace, golden: Path) -> None:
    predictions, *references = (json.loads((golden / "dvc_eval" / f"{name}.json").read_text())
                                for name in ("predictions", "references_1", "references_2"))
    predicted = {video: [(event["timestamp"], event["sentence"]) for event in events]
                 for video, events in predictions["results"].items()}
    annotators = [{video: list(zip(entry["timestamps"], entry["sentences"], strict=True))
                   for video, entry in one.items()} for one in references]
    check_paragraphs(coco, predicted, annotators)


# CIDEr over all pairs of all videos

def overlap(one: Sequence[float], two: Sequence[float]) -> float:
    shared = max(0.0, min(one[1], two[1]) - max(one[0], two[0]))
    return shared / (min(max(one[1], two[1]) - min(one[0], two[0]), two[1] - two[0] + one[1] - one[0]) + 1e-8)


plain = st.lists(st.sampled_from(["add", "stir", "the", "pot", "salt", "rice"]), min_size=1, max_size=6).map(" ".join)
plain_rows = st.lists(st.tuples(spans, plain), min_size=1, max_size=4)


@settings(max_examples=40)
@given(files(plain_rows))
def test_corpus_cider_is_that_of_pycocoevalcap(coco: SimpleNamespace, case: tuple[Side, Side, Side]) -> None:
    predicted, *annotators = case
    result = score(predicted, annotators, "activitynet-2018-corpus-cider", ["CIDEr"])
    expected = []
    for tiou in TIOUS:
        pairs = []
        for video, rows in predicted.items():
            if any(video in side for side in annotators):
                for span, text in rows:
                    met = [(text, other) for side in annotators for where, other in side.get(video, [])
                           if overlap(span, where) >= tiou]
                    pairs += met or [(text, "abc123!@#")]
        expected.append(coco.scores([one for one, _ in pairs], [[two] for _, two in pairs])[0]["CIDEr"] if pairs else 0)
    assert list(result.per_threshold["CIDEr"]) == pytest.approx(expected, abs=1e-9)
    assert result.scores["CIDEr"] == pytest.approx(np.mean(expected), abs=1e-9)


# clips

def test_roles_by_hand() -> None:
    """Two words for three: swapped, as shipped, the three are scored by the two."""
    predicted, reference = spread(a=["Stir pot."]), [spread(a=["stir the pot"])]
    swapped, corrected = (score(predicted, reference, "vidchapters-vc", meteor=WordMeteor(), rules=rules)
                          for rules in ({}, {"clip_roles": "corrected"}))
    assert swapped.scores["Bleu_1"] == pytest.approx(2 / 3, abs=1e-8)  # longer than its reference: no penalty
    assert corrected.scores["Bleu_1"] == pytest.approx(np.exp(1 - 3 / 2), abs=1e-8)
    assert swapped.scores["ROUGE_L"] == pytest.approx(2.44 * 2 / 3 / (1 + 1.44 * 2 / 3), abs=1e-12)
    assert corrected.scores["ROUGE_L"] == pytest.approx(2.44 * 2 / 3 / (2 / 3 + 1.44), abs=1e-12)
    assert swapped.scores["METEOR"] == pytest.approx(f_of(2, 3, 2), abs=1e-12)
    assert corrected.scores["METEOR"] == pytest.approx(f_of(2, 2, 3), abs=1e-12)
    assert swapped.scores["CIDEr"] == corrected.scores["CIDEr"] == 0  # one pair: ln 1
    assert "pairs:order,roles=swapped" in swapped.signature and "roles=corrected" in corrected.signature


clips = st.lists(st.tuples(plain, plain), min_size=1, max_size=6)


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from("abc"), clips, min_size=1))
def test_clips_are_those_of_pycocoevalcap(coco: SimpleNamespace, case: dict[str, list[tuple[str, str]]]) -> None:
    predicted, reference = (spread(**{video: [pair[side] for pair in pairs] for video, pairs in case.items()})
                            for side in (0, 1))
    flat = [pair for video in sorted(case) for pair in case[video]]
    first, second = ([pair[side] for pair in flat] for side in (0, 1))
    for roles, one, two in (("corrected", first, second), ("swapped", second, first)):
        rules = {"clip_roles": roles}
        expected, each = coco.scores(one, [[text] for text in two])
        for protocol in ("vidchapters-vc", "video-recap"):
            result = score(predicted, [reference], protocol, CAPTIONS, rules=rules)
            assert result.scores == pytest.approx(expected, abs=1e-9)
        turned = score(reference, [predicted], "video-recap", CAPTIONS, rules={"clip_roles": "corrected"})
        assert roles == "corrected" or turned.scores == pytest.approx(expected, abs=1e-9)
        ends = np.cumsum([0, *(len(case[video]) for video in sorted(case))])
        for video, start, end in zip(sorted(case), ends, ends[1:], strict=False):
            assert result.per_video[video]["CIDEr"] == pytest.approx(np.mean(each["CIDEr"][start:end]), abs=1e-9)


def test_clips_that_do_not_pair() -> None:
    predicted = spread(a=["stir", "add salt"], b=[], c=["x"])
    reference = spread(a=["stir"], b=["boil"], c=["x"], d=["y"])
    for protocol in ("vidchapters-vc", "video-recap"):
        with pytest.raises(UserError, match="references: 2 files, but captions of given clips have one reference each"):
            score(predicted, [reference, reference], protocol)
        result = score(predicted, [reference], protocol, ["Bleu_1", "ROUGE_L"])
        assert result.scores == pytest.approx({"Bleu_1": 1, "ROUGE_L": 1}, abs=1e-8)  # "add salt" is left out
        assert [one for one in result.warnings if "different numbers" in one] == [
            "2 videos have different numbers of predictions and events (first: a): only as many as both have are "
            "compared, the rest is left out"]
        assert result.coverage["missing"] == ["d"] and "ROUGE_L" not in result.per_video["b"]
        with pytest.raises(UserError, match="predictions: no event has a counterpart in the references"):
            score({"a": []}, [reference], protocol)


def test_video_recap_reads_captions_as_they_are() -> None:
    """Lower case, no blanks around; "bowl." is another word than "bowl", and METEOR gets single blanks."""
    predicted, reference = spread(a=["  Wet the BOWL.\n", "café"]), [spread(a=["wet  the bowl", "caf "])]
    meteor = WordMeteor()
    raw = score(predicted, reference, "video-recap", ["METEOR", "Bleu_1", "ROUGE_L", "rouge1"], meteor=meteor)
    assert set(meteor.asked) == {("wet the bowl.", "wet the bowl"), ("café", "caf")}
    assert raw.scores["Bleu_1"] == pytest.approx(2 / 4, abs=1e-8)
    # the two blanks are an empty word for ROUGE-L, which splits at every blank: 2 of 3 and 2 of 4
    assert raw.scores["ROUGE_L"] == pytest.approx(2.44 * 2 / 3 * 2 / 4 / (2 / 4 + 1.44 * 2 / 3) / 2, abs=1e-12)
    assert raw.scores["rouge1"] == 1  # Google's: letters and digits
    ptb = score(predicted, reference, "vidchapters-vc", ["METEOR", "Bleu_1"], meteor=meteor)
    assert set(meteor.asked) == {("wet the bowl", "wet the bowl"), ("caf", "café")}
    assert ptb.scores["Bleu_1"] == pytest.approx(3 / 4, abs=1e-8)


@pytest.mark.parametrize(("one", "two", "expected"), [
    # rouge1: words in common, each as often as in both; rouge2: pairs of words; rougeL: the longest in order
    ("Stir stir the pot!", "stir a pot", (2 * 2 / 7, 0, 2 * 2 / 7)),
    ("the hot pot 2", "2 the hot POT", (1, 2 * 2 / 6, 2 * 3 / 8)),
    ("add-salt", "add salt now", (2 * 2 / 5, 2 * 1 / 3, 2 * 2 / 5)),
    ("salt", "salt", (1, 0, 1)),
    ("...", "stir", (0, 0, 0)), ("stir", "!", (0, 0, 0)), ("", "", (0, 0, 0)), ("?!", "...", (0, 0, 0)),
])
def test_google_rouge_by_hand(one: str, two: str, expected: tuple[float, float, float]) -> None:
    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    for predicted, reference in ((one, two), (two, one)):
        result = score(spread(a=[predicted, "x y"]), [spread(a=[reference, "y"])], "video-recap", names)
        other = (2 / 3, 0, 2 / 3)  # beside a pair of one word of two: the mean counts
        means = [(first + second) / 2 for first, second in zip(expected, other, strict=True)]
        assert result.scores == pytest.approx(dict(zip(names, [*means, means[2]], strict=True)), abs=1e-12)


# SODA of several annotators

class HashMeteor(WordMeteor):
    """A made-up score in twentieths for each pair, so that ties occur."""

    def statistics(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        return np.array([[zlib.crc32("|".join(pair).encode()) % 21 / 20, *[0] * 22] for pair in pairs]).reshape(-1, 23)

    def score(self, statistics: np.ndarray) -> np.ndarray:
        return statistics[..., 0]


def soda_sum(kind: str, predicted: list, reference: list, tiou: float) -> float:
    """The largest sum over monotone matchings, all of them tried, or (a, b) METEOR along the toolkit's walk back."""
    meteor = np.array([[zlib.crc32(f"{text}|{other}".encode()) % 21 / 20 for _, other in predicted]
                       for _, text in reference])
    iou = np.array([[overlap(span, where) for where, _ in predicted] for span, _ in reference])
    if kind in "cd":
        matrix, sizes = (iou * meteor if kind == "c" else iou), range(min(iou.shape) + 1)
        return max(sum(matrix[pair] for pair in zip(chosen, columns, strict=True)) for size in sizes
                   for chosen in itertools.combinations(range(len(reference)), size)
                   for columns in itertools.combinations(range(len(predicted)), size))
    iou[iou < tiou] = 0
    value, choice = {}, {}
    for i, j in itertools.product(*map(range, iou.shape)):
        options = [value[i - 1, j] if i else -1, value[i, j - 1] if j else -1, value.get((i - 1, j - 1), 0) + iou[i, j]]
        value[i, j], choice[i, j] = max(options), options.index(max(options))
    found, i, j = 0.0, len(reference) - 1, len(predicted) - 1
    while min(i, j) >= 0:
        taken = next((column for column in range(j, -1, -1) if choice[i, column] == 2), None)
        if taken is not None:
            found, j = found + meteor[i, taken], taken - 1
        i -= 1
    return found


def soda_by_hand(kind: str, predicted: Side, annotators: Sequence[Side], files: str) -> np.ndarray:
    """Precision, recall and F: of each video and threshold, then means."""
    table = []
    for video in sorted(set().union(*annotators) & set(predicted)):
        one = sorted(predicted[video], key=lambda row: row[0][0])
        lists = [side[video] for side in annotators if video in side]
        if files == "merged":
            lists = [sorted(itertools.chain(*lists), key=lambda row: row[0][0])]
        for tiou in TIOUS if kind == "a" else (0.0,):
            triples = []
            for reference in lists:
                total = soda_sum(kind, one, reference, tiou) if one else 0.0
                p, r = total / max(len(one), 1), total / len(reference)
                triples.append((p, r, 2 * p * r / (p + r) if p + r else 0.0))
            table.append(max(triples, key=lambda triple: triple[2]))  # of equal ones the first
    return np.mean(table, axis=0)


@pytest.mark.parametrize("protocol", ["soda", "soda-multi"])
@settings(max_examples=40)
@given(files(plain_rows))
def test_soda_of_two_annotators_is_brute_force(protocol: str, case: tuple[Side, Side, Side]) -> None:
    predicted, *annotators = case
    result = score(predicted, annotators, protocol, meteor=HashMeteor())
    for kind in "abcd":
        found = [result.scores[f"soda_{kind}{part}"] for part in ("_p", "_r", "")]
        expected = soda_by_hand(kind, predicted, annotators, {"soda": "merged"}.get(protocol, "multi"))
        assert found == pytest.approx(expected.tolist(), abs=1e-12), kind


def test_of_equally_good_annotators_the_first_counts() -> None:
    """One prediction: METEOR 1/2 with the only event of one, 1 with one of three of the other, F 1/2 by both."""
    class Half(WordMeteor):
        def statistics(self, pairs: list[tuple[str, str]]) -> np.ndarray:
            return np.array([[{"half": 0.5, "whole": 1.0}.get(pair[0], 0.0), *[0] * 22] for pair in pairs])

        def score(self, statistics: np.ndarray) -> np.ndarray:
            return statistics[..., 0]

    predicted, half = {"a": [([0, 10], "x")]}, {"a": [([0, 10], "half")]}
    whole = {"a": [([0, 10], "whole"), ([20, 30], "y"), ([30, 40], "z")]}
    names = ["soda_b_p", "soda_b_r", "soda_b"]
    for annotators, expected in (((half, whole), [0.5, 0.5, 0.5]), ((whole, half), [1, 1 / 3, 0.5])):
        assert list(score(predicted, annotators, "soda-multi", names, meteor=Half()).scores.values()) == expected


def test_annotators_in_file_order() -> None:
    """The merged list is sorted by start, several annotators are read in file order: turned ones cannot both meet."""
    predicted = {"a": [([0, 10], "x"), ([10, 20], "y")]}
    turned = {"a": [([10, 20], "y"), ([0, 10], "x")]}
    for protocol, expected in (("soda", 1), ("soda-multi", 0.5)):
        found = score(predicted, [turned], protocol, ["soda_d"]).scores["soda_d"]
        assert found == pytest.approx(expected, abs=1e-8)
