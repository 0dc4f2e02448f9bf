"""Results of moments: rules, coverage, signatures, adding, intervals, comparison, tables."""

import csv
import io
import json
from typing import Any

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.evaluation.signatures import unlike
from hicm.evaluation.significance import compare
from hicm.moments.records import Annotations, Prediction, Query, Submission
from hicm.moments_eval import PROTOCOLS, Result, available_metrics, evaluate
from hicm.moments_eval.inputs.protocols import Protocol, change_rules, find_protocol
from hicm.moments_eval.results.signature import read_signature


def made_up(queries: int = 60, noise: float = 3.0, seed: int = 0) -> tuple[Annotations, Submission]:
    """Queries, three of each video, and predictions that lie ``noise`` seconds off."""
    random = np.random.default_rng(0)
    annotated, predictions = [], {}
    own = np.random.default_rng(seed)
    for at in range(queries):
        start = random.uniform(0, 60, 1 + at % 3)
        true = np.stack([start, start + random.uniform(2, 40, len(start))], axis=1)
        clips = np.sort(random.choice(50, 6, replace=False))
        annotated.append(Query(f"q{at}", f"sentence {at}", f"v{at // 3}", 100.0, true, clips,
                               random.integers(0, 5, (6, 3)).astype(float)))
        windows = np.concatenate([true + own.normal(0, noise, true.shape), own.uniform(0, 1, (len(true), 1))], axis=1)
        predictions[f"q{at}"] = Prediction(windows, own.normal(0, 1, 50))
    return Annotations(tuple(annotated), "qvhighlights"), Submission(predictions, "moment_detr")


def part(annotations: Annotations, submission: Submission, chosen: slice) -> tuple[Submission, Annotations]:
    queries = annotations.queries[chosen]
    return (Submission({one.id: submission.predictions[one.id] for one in queries}, submission.format),
            Annotations(queries, annotations.format))


@pytest.fixture(scope="module")
def files() -> tuple[Annotations, Submission]:
    return made_up()


@pytest.fixture(scope="module")
def result(files: tuple[Annotations, Submission]) -> Result:
    return evaluate(files[1], files[0], "hicm")


def test_the_usual_protocol_of_a_data_set(files: tuple[Annotations, Submission]) -> None:
    usual = {"qvhighlights": "qvhighlights", "charades_cg": "charades", "tacos": "tacos", "windows_table": "hicm"}
    for format, name in usual.items():
        assert evaluate(files[1], Annotations(files[0].queries, format)).protocol == name


def test_another_number_of_clip_scores_is_reported(files: tuple[Annotations, Submission]) -> None:
    annotations, submission = files
    cut = Prediction(submission.predictions["q4"].windows, np.ones(3))
    found = evaluate(Submission(submission.predictions | {"q4": cut}, "moment_detr"), annotations, "qvhighlights")
    said = "1 queries have another number of clip scores than their video has clips of 2 s (first: q4, 3 for 50)"
    assert any(said in line for line in found.warnings)
    assert not any("clip scores" in line for line in evaluate(submission, annotations, "qvhighlights").warnings)


def test_scores_are_means_over_queries(result: Result) -> None:
    for name in ("mAP", "R1@0.5", "mIoU", "middle-mAP", "HL-mAP-Good", "HL-Hit1-Fair"):
        values = [row[name] for row in result.per_query.values() if name in row]
        assert result.scores[name] == pytest.approx(np.mean(values), abs=1e-12), name
    assert list(result.scores) == list(available_metrics("hicm")) and not result.left_out


def test_halves_add_up(files: tuple[Annotations, Submission], result: Result) -> None:
    halves = [evaluate(*part(*files, chosen), "hicm") for chosen in (slice(0, 25), slice(25, None))]
    both = halves[0] + halves[1]
    assert both.scores == pytest.approx(result.scores, abs=1e-12) and both.queries == result.queries
    assert both.ranges == result.ranges and both.coverage == result.coverage and both.per_query == result.per_query
    with pytest.raises(UserError, match=r"results share 25 queries \(first: q0\), so they cannot be added"):
        halves[0] + halves[0]
    with pytest.raises(UserError, match="scored by different rules"):
        halves[0] + evaluate(*part(*files, slice(25, None)), "charades")


def test_metrics_alone(files: tuple[Annotations, Submission], result: Result) -> None:
    some = evaluate(files[1], files[0], "hicm", metrics=["HL-Hit1-Good", "mAP", "short-R1@0.7"])
    assert list(some.scores) == ["mAP", "short-R1@0.7", "HL-Hit1-Good"]
    assert some.scores == {name: result.scores[name] for name in some.scores}
    with pytest.raises(UserError, match="metric 'map' is unknown to protocol hicm; the nearest is 'mAP'; known: mIoU"):
        evaluate(files[1], files[0], "hicm", metrics=["map"])
    with pytest.raises(UserError, match="metrics is empty"):
        evaluate(files[1], files[0], "hicm", metrics=[])


def test_several_protocols(files: tuple[Annotations, Submission]) -> None:
    found = evaluate(files[1], files[0], ["charades", "tacos"])
    assert [one.protocol for one in found] == ["charades", "tacos"] and "R1@0.1" in found[1].scores
    with pytest.raises(UserError, match="protocol 'charade' is unknown; the nearest is 'charades'"):
        evaluate(files[1], files[0], "charade")
    with pytest.raises(UserError, match="protocol is empty"):
        evaluate(files[1], files[0], [])


# coverage

def test_missing_queries(files: tuple[Annotations, Submission], result: Result) -> None:
    annotations, submission = files
    few = Submission({name: one for name, one in submission.predictions.items() if name not in ("q3", "q7")}, "")
    with pytest.raises(UserError, match=r"2 queries are not predicted \(q3, q7\), which protocol qvhighlights "
                                        r"does not allow; complete the file, or score with --rule missing=zero"):
        evaluate(few, annotations, "qvhighlights")
    scored = evaluate(few, annotations, "hicm")
    assert scored.coverage["missing"] == ["q3", "q7"] and "they count as 0" in scored.warnings[-1]
    expected = [0.0 if name in ("q3", "q7") else row["mAP"] for name, row in result.per_query.items()]
    assert [row["mAP"] for row in scored.per_query.values()] == pytest.approx(expected, abs=1e-12)
    assert scored.per_query["q3"]["HL-mAP-Fair"] == scored.per_query["q3"]["HL-Hit1-Fair"] == 0.0
    assert scored.signature == result.signature and "2 missing" in scored.text()


def test_empty_and_unknown_queries(files: tuple[Annotations, Submission]) -> None:
    annotations, submission = files
    more = {**submission.predictions, "q5": Prediction(np.zeros((0, 3)), np.ones(50)),
            "other": Prediction(np.ones((1, 3)))}
    with pytest.raises(UserError, match=r"1 queries are predicted without a window \(q5\), which protocol charades"):
        evaluate(Submission(more, ""), annotations, "charades")
    with pytest.raises(UserError, match=r"1 predicted queries are not annotated \(other\), .* --rule unknown=ignore"):
        evaluate(Submission(more, ""), annotations, "charades", rules={"missing": "zero"})
    scored = evaluate(Submission(more, ""), annotations, "hicm")
    assert scored.coverage["empty"] == ["q5"] and scored.coverage["unknown"] == ["other"]
    assert scored.per_query["q5"]["mIoU"] == 0.0 and "other" not in scored.per_query


def test_no_query_in_common(files: tuple[Annotations, Submission]) -> None:
    with pytest.raises(UserError, match=r"none of the 60 annotated queries is predicted; annotated: q0, .*, and 55 "
                                        "more; predicted: 1"):
        evaluate({"1": [[0, 1, 1]]}, files[0], "hicm")


def test_annotations_without_labels() -> None:
    rows = [{"qid": 1, "query": "", "vid": "", "duration": 9}]
    with pytest.raises(UserError, match="no query has a true window; a test split without labels cannot be scored"):
        evaluate({"1": [[0, 1, 1]]}, rows, "hicm")


def test_more_windows_than_a_query_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hicm.moments_eval.inputs.checks.MOST_WINDOWS", 1)
    rows = [{"qid": 1, "query": "", "duration": 9, "relevant_windows": [[0, 5], [6, 7]]}]
    with pytest.raises(UserError, match="annotations: query 1: 2 true windows, more than 1; is it the right file"):
        evaluate({"1": [[0, 1, 1]]}, rows, "hicm")


def test_highlights_need_both_sides(files: tuple[Annotations, Submission]) -> None:
    annotations, submission = files
    bare = Submission({name: Prediction(one.windows) for name, one in submission.predictions.items()}, "")
    assert set(evaluate(bare, annotations, "hicm").left_out.values()) == {"the predictions have no scores of clips"}
    plain = Annotations(tuple(Query(one.id, "", "", None, one.windows) for one in annotations.queries), "")
    assert set(evaluate(submission, plain, "hicm").left_out.values()) == {"the annotations have no ratings of clips"}
    only = Submission({name: Prediction(None, one.saliency) for name, one in submission.predictions.items()}, "")
    scored = evaluate(only, annotations, "qvhighlights")
    assert scored.left_out["mAP"] == "the predictions have no windows" and "HL-mAP-Good" in scored.scores


def test_queries_without_ratings_are_not_rated(files: tuple[Annotations, Submission], result: Result) -> None:
    some = [one if at < 40 else Query(one.id, "", one.video, one.duration, one.windows)
            for at, one in enumerate(files[0].queries)]
    scored = evaluate(files[1], Annotations(tuple(some), ""), "hicm")
    rated = [result.per_query[f"q{at}"]["HL-mAP-Fair"] for at in range(40)]
    assert scored.scores["HL-mAP-Fair"] == pytest.approx(np.mean(rated), abs=1e-12)
    assert "HL-mAP-Fair" not in scored.per_query["q40"] and scored.scores["mAP"] == result.scores["mAP"]


@pytest.mark.parametrize(("rules", "message"), [
    ({"clip_length": 5}, "query q0: a video of 100 s has 20 clips of 5 s, but clip .* is rated; correct"),
    ({"clip_length": 1e-9}, "query q0: a video of 100 s has .* clips of 1e-09 s, more than 10000"),
])
def test_clips_that_the_video_does_not_have(rules: dict[str, Any], message: str,
                                            files: tuple[Annotations, Submission]) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(files[1], files[0], "hicm", rules=rules)


def test_odd_windows_are_told() -> None:
    annotations = [{"qid": 1, "query": "", "duration": 9, "relevant_windows": [[0, 5]]}]
    warnings = evaluate({"1": [[5, 5, 1], [4, 2, 1], [-1, 3, 1], [2, 12, 1]]}, annotations, "charades").warnings
    kinds = ["reversed", "of zero length", "with a negative time", "beyond the video's duration"]
    assert [line for line in warnings if line.startswith("predictions: 1 windows")] == list(warnings)
    assert all(kind in line for kind, line in zip(kinds, warnings, strict=True))


# videos

def predicted_for(*videos: str) -> list[dict[str, Any]]:
    return [{"qid": at, "vid": video, "pred_relevant_windows": [[0, 5, 1]]} for at, video in enumerate(videos)]


TWO_VIDEOS = [{"qid": 0, "query": "", "vid": "s1.avi", "duration": 9, "relevant_windows": [[0, 5]]},
              {"qid": 1, "query": "", "vid": "s2.avi", "duration": 9, "relevant_windows": [[0, 5]]}]


def test_a_query_of_another_video_is_refused() -> None:
    """The ids of another file, e.g. sentences that were counted in another order."""
    with pytest.raises(UserError, match=r"^predictions: query 1 is predicted for video s1, but annotated for video "
                                        r"s2.avi; are both files of the same split, with the same ids"):
        evaluate(predicted_for("s1.avi", "s1"), TWO_VIDEOS, "charades")


def test_a_video_that_is_not_annotated_is_told() -> None:
    found = evaluate(predicted_for("other", "s2"), TWO_VIDEOS, "charades")
    assert found.scores["mIoU"] == 1.0
    assert found.warnings == ("predictions: 1 queries name a video that is not annotated (first: query 0, predicted "
                              "for other, annotated for s1.avi); are the ids those of this file?",)


def test_videos_in_other_words_are_the_same() -> None:
    assert evaluate(predicted_for("s1", "folder/s2.MP4"), TWO_VIDEOS, "charades").warnings == ()
    assert evaluate(predicted_for("", ""), TWO_VIDEOS, "charades").warnings == ()


# rules and signatures

@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("rules", [{}, {"tious": "0.5,0.7", "missing": "zero", "round": 0.5}, {"ranges": "0,5,50"},
                                   {"miou": "false", "clamp_to_video": "true", "clamp": 0, "highlights": "true"}])
def test_a_signature_gives_the_rules_back(name: str, rules: dict[str, Any],
                                          files: tuple[Annotations, Submission]) -> None:
    options = {"missing": "zero", "unknown": "ignore", **rules}
    scored = evaluate(files[1], files[0], name, rules=options, metrics=["mAP", "R1@0.5"])
    found, metrics = read_signature("`" + scored.signature.replace("|", "|\n") + "`")
    assert (found, metrics) == (scored.rules, ("R1@0.5", "mAP"))
    again = evaluate(files[1], files[0], scored.signature)
    assert again.scores == scored.scores and again.signature == scored.signature and again.warnings == scored.warnings


def test_a_signature_tells_other_annotations(files: tuple[Annotations, Submission], result: Result) -> None:
    fewer = evaluate(*part(*files, slice(0, 30)), result.signature)
    assert any(line.startswith("signature: refs:") for line in fewer.warnings)
    assert result.signature.startswith("proto:hicm|metrics:all|") and "cov:60/60" in result.signature
    changed = evaluate(files[1], files[0], "hicm", rules={"round": 1})
    assert "proto:hicm(changed)" in changed.signature
    assert unlike(result.signature, changed.signature) == ["round:1 instead of round:(none)"]


@pytest.mark.parametrize(("rules", "message"), [
    ({"round": "x"}, "rule round is 'x', expected seconds from 0.001 to 1000000, or 0 for none, e.g. round=1"),
    ({"round": -1}, "rule round is -1"), ({"tious": "0.5,2"}, "rule tious is '0.5,2', expected numbers above 0, at"),
    ({"tious": ""}, "rule tious"), ({"ranges": "10"}, "expected 2 to 5 ascending seconds"),
    ({"max_windows": 2.5}, "a whole number from 1 to 1000"), ({"max_windows": 1001}, "a whole number from 1 to 1000"),
    ({"missing": "skip"}, "expected one of error, zero"),
    ({"miou": "maybe"}, "expected one of true, false"), ({"rond": 1}, "rule 'rond' is unknown; the nearest is 'round'"),
    ({"name": "x"}, "rule 'name' is unknown"), ({"clip_length": 0}, "expected seconds above 0"),
    ({"clamp": float("inf")}, "rule clamp is inf"), ({"recall": None}, "rule recall is None"),
    ({"ranges": "10,0"}, "rule ranges is '10,0', expected 2 to 5 ascending seconds, e.g. ranges=0,10,30,150"),
    ({"ranges": "0,10,10"}, "ascending"), ({"ranges": "-1,10"}, "ascending"), ({"ranges": "0,nan"}, "ascending"),
    ({"ranges": "0,1,2,3,4,5"}, "2 to 5"), ({"ranges": (10, 5)}, "ascending"), ({"recall": "0,0.5"}, "above 0"),
    ({"recall": "0.5,,0.7"}, "rule recall"), ({"tious": "nan"}, "rule tious"), ({"round": 1e-50}, "from 0.001"),
    ({"round": 1e39}, "to 1000000"), ({"clamp": -1}, "rule clamp"), ({"round": True}, "rule round is True"),
    ({"max_windows": 0}, "from 1 to 1000"), ({"max_windows": True}, "max_windows is True"),
    ({"max_windows": float("inf")}, "from 1"), ({"clip_length": "nan"}, "above 0"), ({"unknown": 1}, "error, ignore"),
    ({"order": "Listed"}, "expected one of listed, score"),
])
def test_bad_rules(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        change_rules(find_protocol("charades"), rules)


@pytest.mark.parametrize(("text", "message"), [
    ("proto:hicm|metrics:all|idf:video", "part 'idf' is unknown"),
    ("proto:none|metrics:all", "protocol 'none' is unknown"),
    ("proto:hicm", "names no metric"), ("proto:hicm|metrics:mAP+CIDEr", "metric 'CIDEr' is unknown"),
])
def test_bad_signatures(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_signature(text)


def test_bad_calls(files: tuple[Annotations, Submission]) -> None:
    for options, message in (({"bootstrap": -1}, "bootstrap is -1"), ({"unit": "clips"}, "unit is 'clips'"),
                             ({"metrics": 3}, "metrics is 3"), ({"rules": "x"}, "rules is 'x'"),
                             ({"bootstrap": 5, "seed": -2}, "seed is -2")):
        with pytest.raises(UserError, match=message):
            evaluate(files[1], files[0], "hicm", **options)  # type: ignore[call-overload]


def test_a_protocol_of_ones_own(files: tuple[Annotations, Submission], result: Result) -> None:
    own = Protocol("own", used_by="a test", recall=(0.5,), tious=(0.5,), order="score", clamp_to_video=True)
    scored = evaluate(files[1], files[0], own)
    assert scored.scores["mAP"] == result.scores["mAP@0.5"] and scored.signature.startswith("proto:own(changed)")


# intervals and comparison

def test_intervals_over_videos_and_queries(files: tuple[Annotations, Submission], result: Result) -> None:
    found = {}
    for unit in ("videos", "queries"):
        scored = evaluate(files[1], files[0], "hicm", bootstrap=200, seed=3, unit=unit)  # type: ignore[call-overload]
        again = result.with_intervals(200, 3, unit)  # type: ignore[arg-type]
        assert scored.intervals == again.intervals and scored.signature.endswith(f"|boot:200,seed=3,{unit}")
        assert all(one.low <= scored.scores[name] <= one.high for name, one in scored.intervals.items())
        found[unit] = scored.intervals["mIoU"]
    assert found["videos"] != found["queries"]
    assert len(result.drawn("videos").videos) == 20 and len(result.drawn("queries").videos) == 60


def test_sums_by_video_keep_the_scores(result: Result) -> None:
    drawn = result.drawn("videos").measures
    assert {name: one.score() for name, one in drawn.items()} == pytest.approx(result.scores, abs=1e-12)


def test_comparison(files: tuple[Annotations, Submission]) -> None:
    annotations, submission = files
    better = made_up(noise=0.2, seed=1)[1]
    for unit in ("videos", "queries"):
        systems = {name: evaluate(one, annotations, "hicm").drawn(unit)  # type: ignore[arg-type]
                   for name, one in (("base", submission), ("same", submission), ("better", better))}
        found = compare(systems, ["mAP", "R1@0.7"], samples=300, unit=unit)
        same, gain = found.row("mAP", "same"), found.row("mAP", "better")
        assert same.difference == 0 and same.bootstrap_p == same.randomisation_p == 1.0 and same.won == same.lost == 0
        assert gain.difference > 0.2 and gain.randomisation_p is not None and gain.randomisation_p < 0.01
        assert gain.interval is not None and gain.interval.low > 0
        assert f"of {len(systems['base'].videos)} {unit}" in str(found) and unit in found.to_json()
        assert f"|over:{unit}" in found.signature
    with pytest.raises(UserError, match="over:queries instead of over:videos"):
        one = evaluate(submission, annotations, "hicm")
        compare({"a": one.drawn("videos"), "b": one.drawn("queries")})


# tables

def test_tables(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [row["query"] for row in rows] == list(result.queries) and rows[4]["video"] == "v1"
    assert float(rows[4]["mAP"]) == result.per_query["q4"]["mAP"] and rows[4]["windows"] == "2"
    assert all((row["short-mAP"] == "") == ("short-mAP" not in result.per_query[row["query"]]) for row in rows)
    content = json.loads(json.dumps(result.to_json()))
    assert content["task"] == "moments"
    assert content["scores"] == result.scores and content["per_query"] == result.per_query
    assert content["moment_detr"]["full"]["MR-mAP"]["average"] == float(f"{100 * result.scores['mAP']:.2f}")
    assert f"| hicm | {100 * result.scores['R1@0.3']:.2f} | " in result.to_markdown() and result.to_latex()
    text = result.with_intervals(20).text()
    assert "short (0-10 s)" in text and "HL" not in text.splitlines()[1] and "VeryGood" in text and "(95 %)" in text


def test_unknown_queries_cannot_be_asked_for(result: Result) -> None:
    assert result.place_of("q3") == 3
    with pytest.raises(UserError, match=r"query x: not scored; scored are q0, q1, q2 \.\.\."):
        result.place_of("x")
