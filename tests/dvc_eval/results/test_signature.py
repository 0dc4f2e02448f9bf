"""A signature is read back: by its rules and metrics the same signature comes again."""

from pathlib import Path
from typing import Any

import pytest
from golden_case import files, score
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.dvc_eval import PROTOCOLS, evaluate
from hicm.dvc_eval.inputs.protocols import Protocol, change_rules, select_metrics
from hicm.dvc_eval.results.signature import read_signature, signature
from hicm.errors import UserError
from hicm.evaluation.signatures import unlike

RULES = {
    "missing": st.sampled_from(["skip", "zero"]), "unmatched": st.sampled_from(["word", "abc123!@#", "x y"]),
    "tious": st.lists(st.sampled_from([0.1, 0.25, 1 / 3, 0.95, 0.9500001, 1.0]), min_size=1, unique=True),
    "max_proposals": st.integers(1, 5000), "distances": st.lists(st.sampled_from([0.5, 1, 60]), unique=True),
    "f1": st.sampled_from(["per-threshold", "of-means", "per-video"]), "soda_d": st.sampled_from(["f", "mean-of-prf"]),
    "soda_roles": st.sampled_from(["swapped", "corrected"]), "cider": st.sampled_from(["video", "corpus"]),
    "soda_files": st.sampled_from(["per-file", "per-video", "merged", "multi"]),
    "soda_missing": st.sampled_from(["skip", "zero"]), "soda_empty": st.sampled_from(["zero", "skip"]),
    "localisation": st.just(True), "paragraph": st.just(True),
    "soda_traceback": st.sampled_from(["shipped", "optimal"]), "clip_roles": st.sampled_from(["swapped", "corrected"]),
}


def line_of(rules: Protocol, metrics: tuple[str, ...]) -> str:
    return signature(rules, metrics, 2, "0123abcd", "ptb", "1.5", 3, 4)


@settings(max_examples=150)
@given(st.sampled_from(sorted(PROTOCOLS)), st.fixed_dictionaries({}, optional=RULES), st.data())
def test_round_trip(name: str, changes: dict[str, Any], data: st.DataObject) -> None:
    rules = change_rules(PROTOCOLS[name], changes)
    metrics = select_metrics(rules, data.draw(st.sets(st.sampled_from(rules.metrics), min_size=1)))
    line = line_of(rules, metrics)
    read, wanted = read_signature(line)
    assert set(metrics) <= set(wanted)
    # What no metric of it needs is not told, so a change of it is not read; the line is the same but for that word.
    assert line_of(read, wanted).replace("(changed)", "") == line.replace("(changed)", "")
    assert unlike(line, line_of(read, wanted)) == []
    assert read_signature(f"`{line}`\n") == read_signature(line.replace("|", "|\n   ")) == (read, wanted)


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_the_same_scores_by_a_signature(golden: Path, protocol: str) -> None:
    annotators = 1 if PROTOCOLS[protocol].pairing == "order" else 2
    first = score(golden, protocol, annotators)
    again = score(golden, first.signature, annotators)
    assert again.scores == first.scores and again.signature == first.signature and again.warnings == first.warnings


def test_changed_rules_and_few_metrics(golden: Path) -> None:
    first = score(golden, metrics=["CIDEr", "soda_d"], rules={"missing": "zero", "tious": "0.5"})
    again = score(golden, first.signature)
    assert again.scores == first.scores | {"soda_d_f": again.scores["soda_d_f"]}  # of one family with soda_d
    assert "proto:vidchapters(changed)" in again.signature
    assert score(golden, first.signature, metrics=["soda_d"]).scores == {"soda_d": first.scores["soda_d"]}


def test_what_cannot_be_met_is_told(golden: Path) -> None:
    """Other references, another version; coverage and intervals are nobody's fault."""
    line = score(golden, metrics=["soda_d"]).signature
    asked = line.replace("refs:1@", "refs:1@0").replace("|v:", "|v:9.").replace("cov:9/10", "cov:1/10|boot:9,seed=0")
    found = [warning for warning in score(golden, asked).warnings if warning.startswith("signature: ")]
    assert len(found) == 2 and found[0].startswith("signature: refs:1@") and "instead of v:9." in found[1]
    assert unlike(line, line) == []


def test_what_would_break_a_signature_is_refused(golden: Path) -> None:
    for text in ("a|b", "a\nb"):
        with pytest.raises(UserError, match=r"rule unmatched is .*, expected one line without '|'"):
            score(golden, rules={"unmatched": text})


@pytest.mark.parametrize("protocol", ["hicm", "vidchapters-vc"])
def test_other_thresholds_have_another_signature(golden: Path, protocol: str) -> None:
    lines = {score(golden, protocol, metrics=["F1"], rules={"tious": [tiou], "localisation": "true"}).signature
             for tiou in (0.9499999, 0.9500001, 0.5)}
    assert len(lines) == 3


@pytest.mark.parametrize(("line", "message"), [
    ("proto:hicm|metrics:meteor+ciderr", "metric 'ciderr' is unknown to protocol hicm; the nearest is 'cider'"),
    ("proto:hicm|soda:x", "metric 'soda_x' is unknown to protocol hicm; the nearest is 'soda_"),
    ("proto:hicm|metrix:cider", "part 'metrix' is unknown; the nearest is 'metrics'"),
    ("proto:vidchapter|iou:.5", "protocol 'vidchapter' is unknown; the nearest is 'vidchapters'"),
    ("proto:vidchapters|v:1", "names no metric of protocol vidchapters; expected the line printed below"),
    ("proto:vidchapters|metrics:loc|iou:.x", "rule tious is '.x', expected numbers above 0"),
    ("proto:", "protocol '' is unknown"), ("proto:soda|soda:a,roles=up", "rule soda_roles is 'up', expected one of"),
    ("proto:soda|soda:a,colour=red", "rule 'soda_colour' is unknown"),
])
def test_what_is_no_signature(golden: Path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        evaluate(*files(golden), line)
    assert "\n" not in str(caught.value)
