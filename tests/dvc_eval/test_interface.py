"""Several protocols in one pass, changed rules, strictness: what `evaluate` takes and refuses."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_case import files, score

from hicm.dvc_eval import evaluate
from hicm.dvc_eval.inputs.protocols import PROTOCOLS, change_rules, find_protocol
from hicm.errors import UserError

LOCAL = ["CIDEr", "Recall", "soda_d"]
LABELS = ("1.5s", "2s", "8.75s")


def predicted(**videos: list[list[float]]) -> dict[str, Any]:
    return {"results": {video: [{"sentence": "add the salt", "timestamp": span} for span in spans]
                        for video, spans in videos.items()}}


def annotated(**videos: list[list[float]]) -> dict[str, Any]:
    return {video: {"timestamps": spans, "sentences": ["add the salt"] * len(spans)}
            for video, spans in videos.items()}


# several protocols, changed rules

@pytest.mark.parametrize("annotators", [1, 2])
def test_protocols_in_one_pass_are_the_single_runs_to_the_bit(golden: Path, annotators: int) -> None:
    names = [name for name, rules in PROTOCOLS.items() if annotators == 1 or rules.pairing == "overlap"]
    together = score(golden, names, annotators)
    assert [result.protocol for result in together] == names
    for name, joint in zip(names, together, strict=True):
        alone = score(golden, name, annotators)
        for part in ("scores", "per_video", "per_threshold", "per_video_thresholds", "signature", "missing_as_zero",
                     "coverage", "left_out"):
            assert getattr(joint, part) == getattr(alone, part), (name, part)
        assert list(alone.scores) == list(find_protocol(name).metrics)


def test_warnings_are_those_of_the_protocol(golden: Path) -> None:
    """What only one protocol does to the captions is not told of the others that run beside it."""
    for joint in score(golden, ["vidchapters", "vidchapters-vc", "video-recap"]):
        assert set(joint.warnings) == set(score(golden, joint.protocol).warnings), joint.protocol


def test_a_protocol_may_be_an_object(golden: Path) -> None:
    own = change_rules(find_protocol("vidchapters"), {"max_proposals": 2})
    assert score(golden, own, metrics=LOCAL).scores == score(golden, metrics=LOCAL, rules={"max_proposals": 2}).scores


@pytest.mark.parametrize("annotators", [1, 2])
def test_missing_counted_zero_is_what_is_printed_beside_skipped(golden: Path, annotators: int) -> None:
    skipped = score(golden, annotators=annotators)
    counted = score(golden, annotators=annotators, rules={"missing": "zero"})
    wanted = {name: value for name, value in counted.scores.items() if not name.startswith("soda")}
    assert len(wanted) > 30 and skipped.scores["F1"] > 1.05 * wanted["F1"]
    assert {name: skipped.missing_as_zero[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)
    # SODA has a rule of its own: left out although the rest counts 0
    assert counted.scores["soda_c"] == skipped.scores["soda_c"]
    assert counted.missing_as_zero == {}


def soda_case() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """F of type d: a is 1 by the first file and 1/3 by the second (IoU 1/2, one of two events), b is 1/5."""
    return (predicted(a=[[0, 10]], b=[[0, 10]]),
            [annotated(a=[[0, 10]], b=[[0, 2]]), annotated(a=[[0, 5], [5, 10]])])


@pytest.mark.parametrize(("rule", "expected"), [
    ("per-file", ((1 + 0.2) / 2 + 1 / 3) / 2), ("per-video", ((1 + 1 / 3) / 2 + 0.2) / 2),
    ("merged", (2 / (1 + 3) + 0.2) / 2),  # a: one prediction, three events, the best IoU is 1
    ("multi", (1 + 0.2) / 2)])
def test_soda_files(rule: str, expected: float) -> None:
    result = evaluate(*soda_case(), metrics=["soda_d_f"], rules={"soda_files": rule})
    assert result.scores["soda_d_f"] == pytest.approx(expected, abs=1e-7)
    assert f"files={rule}" in result.signature


@pytest.mark.parametrize(("rules", "expected"), [({}, (1 + 0.2 + 0) / 3), ({"soda_empty": "skip"}, (1 + 0.2) / 2)])
def test_soda_of_an_empty_prediction(rules: dict[str, str], expected: float) -> None:
    predictions, (references, _) = soda_case()
    predictions["results"]["c"] = []
    result = evaluate(predictions, references | annotated(c=[[0, 1]]), metrics=["soda_d_f"], rules=rules)
    assert result.scores["soda_d_f"] == pytest.approx(expected, abs=1e-7)
    assert ("soda_d_f" in result.per_video["c"]) == (not rules)


@pytest.mark.parametrize("files", ["per-file", "per-video", "merged", "multi"])
def test_soda_of_a_missing_video_counts_zero_with_who_annotated_it(files: str) -> None:
    """d is in the first file alone, so the mean over the second stays 1/3."""
    predictions, (first, second) = soda_case()
    references = [first | annotated(d=[[0, 1]]), second]
    zero = evaluate(predictions, references, metrics=["soda_d_f"], rules={"soda_files": files, "soda_missing": "zero",
                                                                          "missing": "zero"})
    beside = evaluate(predictions, references, metrics=["soda_d_f"], rules={"soda_files": files}).missing_as_zero
    by_hand = {"per-file": ((1 + 0.2 + 0) / 3 + 1 / 3) / 2, "per-video": (2 / 3 + 0.2) / 3, "merged": (0.5 + 0.2) / 3,
               "multi": (1 + 0.2) / 3}[files]
    assert zero.scores["soda_d_f"] == pytest.approx(by_hand, abs=1e-7)
    assert beside["soda_d_f"] == pytest.approx(by_hand, abs=1e-7)


def test_thresholds_are_those_asked_for(golden: Path) -> None:
    usual, half = score(golden), score(golden, rules={"tious": "0.5", "distances": ""})
    assert half.thresholds == ("0.5",)
    for name in ("METEOR", "CIDEr", "Bleu_4", "Recall", "F1"):
        assert half.scores[name] == usual.per_threshold[name][1]
    assert not [name for name in half.scores if name.endswith("s") and "@" in name]
    assert "|iou:.5|f1:" in half.signature
    assert score(golden, metrics=LOCAL, rules={"tious": "0.9,0.3,.5,0.70,0.5"}).scores == \
        score(golden, metrics=LOCAL).scores


def test_distances_are_strict() -> None:
    """Starts lie 1.5 s and 8.5 s apart."""
    result = evaluate(predicted(a=[[1.5, 9]]), annotated(a=[[0, 9], [10, 19]]), rules={"distances": [2, 1.5, 8.75]},
                      metrics=[f"{kind}@{label}" for kind in ("Recall", "Precision") for label in LABELS])
    assert result.thresholds[4:] == LABELS
    assert [result.scores[f"Precision@{label}"] for label in LABELS] == [0, 1, 1]
    assert [result.scores[f"Recall@{label}"] for label in LABELS] == [0, 0.5, 1]


def test_the_cap_is_a_shorter_file_but_for_soda(golden: Path) -> None:
    predictions, *references = files(golden)
    content = json.loads(Path(predictions).read_text())["results"]
    short = evaluate({video: events[:2] for video, events in content.items()}, references).scores
    capped, usual = score(golden, rules={"max_proposals": "2"}).scores, score(golden).scores
    assert {name: capped[name] for name in short if "soda" not in name} == \
        {name: short[name] for name in short if "soda" not in name}
    assert capped["soda_c"] == usual["soda_c"] != short["soda_c"]
    assert capped["Recall"] < usual["Recall"]


def test_2021_with_the_string_of_2018_is_2018(golden: Path) -> None:
    turned = score(golden, "activitynet-2021", 2, rules={"unmatched": "abc123!@#"})
    assert turned.scores == score(golden, "activitynet-2018", 2).scores
    assert score(golden, "activitynet-2021", 2).scores["METEOR"] > turned.scores["METEOR"]
    assert turned.signature.startswith("proto:activitynet-2021(changed)|")


class ZeroMeteor:
    """Stands in for METEOR where its values do not matter."""

    name = "made-up"

    def statistics(self, pairs: list[tuple[str, str]], words: bool = False) -> np.ndarray:
        return np.zeros((len(pairs), 23))

    def score(self, statistics: np.ndarray) -> np.ndarray:
        return statistics[..., 0]


@pytest.mark.parametrize("rule", ["missing=zero", "missing=skip", "cider=corpus", "localisation=false",
                                  "localisation=true", "f1=of-means", "f1=per-video", "paragraph=true",
                                  "paragraph=false", "clip_roles=swapped", "soda_files=multi", "distances=1",
                                  "tious=0.4", "tok=unicode", "rouge_empty=zero"])
def test_no_metric_vanishes_without_a_word(golden: Path, rule: str) -> None:
    """Under any changed rule a metric has a score or a reason, or the rule is refused."""
    rules = dict([rule.split("=")])
    gone = {}
    for name in PROTOCOLS:
        try:
            result = score(golden, name, rules=rules, meteor=ZeroMeteor())
        except UserError:
            continue
        wanted = change_rules(find_protocol(name), rules).metrics
        gone[name] = [one for one in wanted if one not in result.scores and one not in result.left_out]
    assert gone and {name: metrics for name, metrics in gone.items() if metrics} == {}


@pytest.mark.parametrize(("rules", "message"), [
    ({"mising": "zero"}, "rule 'mising' is unknown; the nearest is 'missing'; known: missing, unmatched, "),
    ({"Soda_Files": "multi"}, "rule 'Soda_Files' is unknown; the nearest is 'soda_files'"),
    ({"captions": "METEOR"}, "rule 'captions' is unknown"), ({"name": "mine"}, "rule 'name' is unknown"),
    ({"pairing": "order"}, "rule 'pairing' is unknown"), ({"clip_text": "raw"}, "rule 'clip_text' is unknown"),
    ({7: "x"}, "rule 7 is unknown"),
    ({"missing": "nought"}, "rule missing is 'nought', expected one of skip, zero"),
    ({"missing": None}, "rule missing is None, expected one of skip, zero"),
    ({"missing": ["zero"]}, "rule missing is .*expected one of skip, zero"),
    ({"paragraph": "maybe"}, "rule paragraph is 'maybe', expected one of true, false"),
    ({"tious": "0.5,1.5"}, "rule tious is '0.5,1.5', expected numbers above 0, at most 1, e.g. tious=0.5,0.7"),
    ({"tious": ""}, "rule tious is '', expected numbers above 0"), ({"tious": 0.5}, "rule tious is 0.5, expected num"),
    ({"tious": "nan"}, "rule tious is 'nan', expected numbers above 0"),
    ({"distances": "-1"}, "rule distances is '-1', expected seconds above 0, e.g. distances=1,5"),
    ({"max_proposals": "many"}, "rule max_proposals is .many., expected a whole number"),
    ({"max_proposals": 1.5}, "rule max_proposals is 1.5, expected"),
    ({"max_proposals": float("inf")}, "rule max_proposals is inf, expected"),
    ({"max_proposals": True}, "rule max_proposals is True, expected"),
    ({"tok": "jieba"}, "rule tok is 'jieba', expected one of ptb, unicode"),
])
def test_bad_rules(rules: dict[Any, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        evaluate(*soda_case(), metrics=["soda_d"], rules=rules)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "message"), [
    ({"protocol": []}, "protocol is empty: name at least one"), ({"protocol": ()}, "protocol is empty"),
    ({"protocol": ["vidchapters", "soad"]}, "protocol 'soad' is unknown; the nearest is 'soda'; known: hicm, "),
    ({"protocol": "VidChapters"}, "the nearest is 'vidchapters'"),
    ({"protocol": ["vidchapters", "soda"], "metrics": ["CIDEr"]}, "metric 'CIDEr' is unknown to protocol soda"),
    ({"protocol": None}, "protocol is None, expected a name, e.g. 'vidchapters', or a list of names"),
    ({"protocol": b"hicm"}, "protocol is b'hicm', expected a name"),
    ({"metrics": 3}, "metrics is 3, expected names of scores, or None for all"),
    ({"rules": ["missing"]}, "rules is ..missing.., expected a mapping from rule to value"),
    ({"jobs": "2"}, "jobs is '2', expected a number of processes, or 0 for one per core"),
    ({"bootstrap": 2.5}, "bootstrap is 2.5, expected a number of samples"),
    ({"protocol": ["hicm", "vidchapters"], "metrics": ["Rouge"]}, "metric 'Rouge' is unknown to protocol hicm"),
    ({"jobs": -1}, "jobs is -1, expected a number of processes, or 0 for one per core"),
    ({"bootstrap": -1}, "bootstrap is -1, expected a number of samples, or 0 for none"),
])
def test_bad_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        evaluate(*soda_case(), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("protocol", "keys", "message"), [
    ("vidchapters", (), None), ("vidchapters", ("version",), None), ("soda", (), None),
    ("activitynet-2018", ("external_data",), "no key 'version', which the toolkits of activitynet-"),
    ("activitynet-2021", ("version",), "no key 'external_data', which"),
    ("activitynet-2018-corpus-cider", (), "no key 'version'"),
    ("activitynet-2018", ("version", "external_data"), None),
    (["vidchapters", "activitynet-2021"], (), "no key 'version'"),
])
def test_strict_asks_for_the_keys_of_the_toolkits(protocol: Any, keys: tuple[str, ...], message: str | None) -> None:
    predictions, references = soda_case()
    predictions |= dict.fromkeys(keys, "1.0")
    options = {"meteor": ZeroMeteor()}
    evaluate(predictions, references, protocol, **options)
    if message is None:
        evaluate(predictions, references, protocol, strict=True, **options)
    else:
        with pytest.raises(UserError, match=message):
            evaluate(predictions, references, protocol, strict=True, **options)


def test_strict_asks_for_every_video() -> None:
    predictions, (first, _) = soda_case()
    with pytest.raises(UserError, match=r"2 of 4 reference videos are not predicted \(first: d\); predict them, or"):
        evaluate(predictions, first | annotated(e=[[0, 1]], d=[[0, 1]]), strict=True, metrics=["soda_d"])
    predictions["results"]["a"] = []  # empty is not missing
    assert evaluate(predictions, first, strict=True, metrics=["soda_d"]).coverage["empty"] == ["a"]


# metrics of several protocols, results that travel

def test_a_metric_goes_by_both_names_and_one_protocol_may_lack_it(golden: Path) -> None:
    """Metrics may come from an iterator, too."""
    ours, theirs = score(golden, ["hicm", "vidchapters"], metrics=iter(["ROUGE_L", "F1", "F1@3s"]))
    assert list(ours.scores) == ["ROUGE_L", "F1"] and list(theirs.scores) == ["Rouge-L", "F1", "F1@3s"]
    assert score(golden, metrics="ROUGE_L").scores == {"Rouge-L": theirs.scores["Rouge-L"]}


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_results_can_be_pickled(golden: Path, protocol: str) -> None:
    result = score(golden, protocol)
    again = pickle.loads(pickle.dumps(result))
    assert again.scores == result.scores and again.per_video == result.per_video
