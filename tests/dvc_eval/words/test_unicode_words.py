"""Captions in any language: the words, and what every metric makes of them."""

from typing import Any

import numpy as np
import pytest
from golden_case import score

from hicm.dvc_eval import evaluate
from hicm.dvc_eval.inputs.protocols import PROTOCOLS
from hicm.dvc_eval.results.explain import explain
from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor import JarMeteor
from hicm.dvc_eval.words.meteor15 import NativeMeteor
from hicm.dvc_eval.words.unicode_words import unicode_words
from hicm.errors import UserError

UNICODE = {"tok": "unicode"}


@pytest.mark.parametrize(("text", "words"), [
    ("Don't ADD 1,000.5 g, it\u2019s done!", "don't|add|1,000.5|g|it's|done"),
    ("rock 'n' roll dogs' state-of-the-art a_b", "rock|n|roll|dogs|state|of|the|art|a|b"),
    ("x2 20cm 12:30 1/2 U.S.", "x2|20cm|12|30|1|2|u|s"),
    ("把盐加到锅里，100克。", "把|盐|加|到|锅|里|100|克"),  # Chinese
    ("カレーを食べる", "カ|レ|ー|を|食|べ|る"),  # Japanese
    ("ｶﾞＡ", "ガ|a"),  # half and full width
    ("소금을 넣는다", "소금을|넣는다"),  # Korean
    ("नमक डालो।", "नमक|डालो"),  # Hindi: marks stay
    ("ใส่เกลือ", "ใ|ส่|เ|ก|ลื|อ"),  # Thai: marks stay
    ("می\u200cرود \u060c", "میرود"),  # Persian, with a joiner
    ("Добавить соль.", "добавить|соль"),
    ("cafe\u0301 Straße naïve co\u00adop", "café|straße|naïve|coop"),
    ("\U0001f600 \u2014 \u0301 \ud800 ... ' \t\n", ""),
])
def test_words(text: str, words: str) -> None:
    assert unicode_words(text) == [word for word in words.split("|") if word]


def case(*pairs: tuple[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """One video with an event for each pair of prediction and reference."""
    spans = [[10 * place, 10 * place + 9] for place in range(len(pairs))]
    return ({"a": [{"sentence": ours, "timestamp": span} for (ours, _), span in zip(pairs, spans, strict=True)]},
            {"a": {"timestamps": spans, "sentences": [theirs for _, theirs in pairs]}})


SALT, POT = "把盐加到锅里", "把盐加锅"  # six characters, four of them


@pytest.mark.parametrize("protocol", ["hicm", "vidchapters", "activitynet-2021", "vidchapters-vc", "video-recap"])
def test_scores_of_chinese_by_hand(protocol: str) -> None:
    """Four of six characters in order: P = 1, R = 2/3; beside a pair without any in common."""
    wanted = [name for name in PROTOCOLS[protocol].metrics if "@" not in name]
    result = evaluate(*case((POT, SALT), ("狗", "搅拌")), protocol, metrics=wanted, rules=UNICODE)
    p, r = (2 / 3, 1) if protocol == "vidchapters-vc" else (1, 2 / 3)  # its references are the hypotheses
    f = (1 + 1.2**2) * p * r / (r + 1.2**2 * p)
    name = "Rouge-L" if "Rouge-L" in result.scores else "ROUGE_L"
    assert result.scores[name] == pytest.approx(f / 2, abs=1e-12)
    assert not result.left_out and "|tok:unicode-words1|" in result.signature and result.warnings == ()
    assert set(result.scores) == set(wanted)
    for metric, value in result.scores.items():
        assert value > 0 or metric == "para_CIDEr", metric  # one item
    if protocol == "video-recap":
        assert result.scores["rougeL"] == pytest.approx((2 * (2 / 3) / (5 / 3)) / 2, abs=1e-12)
    again = evaluate(*case((POT, SALT), ("狗", "搅拌")), result.signature)
    assert {name: again.scores[name] for name in result.scores} == result.scores
    assert again.signature.replace("(changed)", "") == result.signature.replace("(changed)", "")


@pytest.mark.parametrize("protocol", ["hicm", "vidchapters", "video-recap"])
def test_perfect_captions_of_any_script_score_full_marks(protocol: str) -> None:
    texts = [SALT, "नमक डालो और मिलाओ",
             "소금을 넣고 잘 섞는다"]
    pairs = [(text, text) for text in texts]
    result = evaluate(*case(*pairs), protocol, rules=UNICODE)
    for name, value in result.scores.items():
        full = 10 if name == "CIDEr" else 1
        if name not in ("para_CIDEr",) and "@0.9" not in name and name not in ("Recall", "Precision", "F1"):
            assert value == pytest.approx(full, abs=1e-6) or (name.startswith("Bleu") and value > 0.999), name


def test_meteor_takes_words_as_they_are() -> None:
    """Two words each, the first equal; normalised as English they would be taken apart into letters and marks."""
    pair = ("नमक डालो", "नमक मिलाओ")
    words, letters = (NativeMeteor().statistics([pair], words=words)[0] for words in (True, False))
    assert words[:2].tolist() == [2, 2] and words[-2:].tolist() == [1, 1] and letters[0] > 2
    with pytest.raises(Unavailable, match="score tok=unicode without Java"):
        JarMeteor.statistics(None, [pair], words=True)


def test_plain_english_scores_the_same_by_both_tokenisers() -> None:
    pairs = [("add the salt to it", "add salt to the pot"), ("stir it all up", "stir the soup until it boils")]
    ptb, unicode = (evaluate(*case(*pairs), "hicm", rules=rules) for rules in ({}, UNICODE))
    assert ptb.scores == unicode.scores and ptb.per_video == unicode.per_video


def test_two_tokenisers_in_one_pass_are_the_single_runs(golden: Any) -> None:
    lines = [score(golden, rules=rules, metrics=["METEOR", "Bleu_4", "soda_c"]).signature for rules in ({}, UNICODE)]
    for line, result in zip(lines, score(golden, lines), strict=True):
        assert result.signature == line
        assert result.scores == score(golden, line).scores and result.warnings == score(golden, line).warnings


def test_explained_words_are_those_scored() -> None:
    predictions, references = case((POT, SALT))
    result = evaluate(predictions, references, "hicm", metrics=["soda_c"], rules=UNICODE)
    lines = explain(result, predictions, references, "a").splitlines()
    shown = float(lines[-1].rsplit(" ", 1)[1])
    assert shown == pytest.approx(100 * result.scores["soda_c"], abs=0.005) and shown > 10


# two captions without words

@pytest.mark.parametrize(("protocol", "rules", "expected"), [
    ("hicm", {}, (1 + 0) / 2), ("hicm", {"rouge_empty": "match"}, 1), ("vidchapters", {}, 1),
    ("vidchapters", {"rouge_empty": "zero"}, 0.5), ("vidchapters-vc", {}, 1),
    ("video-recap", {"rouge_empty": "zero"}, 0.5)])
def test_rouge_of_two_empty_captions(protocol: str, rules: dict[str, str], expected: float) -> None:
    predictions, references = case(("stir", "stir"), ("...", "." if "recap" not in protocol else ""))
    if "recap" in protocol:
        predictions["a"][1]["sentence"] = " "
    result = evaluate(predictions, references, protocol, metrics=["ROUGE_L"], rules=rules)
    assert next(iter(result.scores.values())) == pytest.approx(expected, abs=1e-12)
    marked = rules.get("rouge_empty", PROTOCOLS[protocol].rouge_empty) == "zero"
    assert ("|rouge-empty:zero|" in result.signature) == marked
    again = evaluate(predictions, references, result.signature)
    assert again.scores == result.scores


def test_paragraphs_without_words_score_zero_under_our_protocol() -> None:
    predictions, references = case(("", SALT))
    metrics = ["ROUGE_L", "para_ROUGE_L", "Bleu_1", "METEOR"]
    assert set(evaluate(predictions, references, "hicm", metrics=metrics).scores.values()) == {0}
    assert evaluate(predictions, references, "activitynet-2018", metrics=["para_ROUGE_L"]).scores["para_ROUGE_L"] == 1


def test_signatures_from_before_the_rule_keep_their_meaning(golden: Any) -> None:
    line = score(golden, "hicm", metrics=["ROUGE_L"]).signature.replace("|rouge-empty:zero", "")
    assert np.isclose(score(golden, line).scores["ROUGE_L"],
                      score(golden, "hicm", metrics=["ROUGE_L"], rules={"rouge_empty": "match"}).scores["ROUGE_L"])
    with pytest.raises(UserError, match="rule rouge_empty is 'one', expected one of match, zero"):
        score(golden, "hicm", rules={"rouge_empty": "one"})
