"""Results: tables that make up the scores, sums of results, pairs of events, files, intervals, signatures, warnings."""

import copy
import csv
import dataclasses
import io
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hicm.dvc_eval import Result, evaluate
from hicm.dvc_eval.inputs.protocols import PROTOCOLS, find_protocol
from hicm.errors import UserError

OVERLAP = [name for name, rules in PROTOCOLS.items() if rules.pairing == "overlap"]
ORDER = [name for name in PROTOCOLS if name not in OVERLAP]
LOCAL = ["CIDEr", "Rouge-L", "Bleu_4", "Recall", "Precision", "F1", "soda_d"]
Content = dict[str, Any]


@pytest.fixture(scope="module")
def predictions(golden: Path) -> Content:
    """The made-up predictions by video id; yarn_09 is missing, moth_07 empty, not_asked_11 unknown."""
    return json.loads((golden / "dvc_eval" / "predictions.json").read_text())["results"]


@pytest.fixture(scope="module")
def references(golden: Path) -> list[Content]:
    """Two annotators; the second has five of the ten videos."""
    return [json.loads((golden / "dvc_eval" / f"references_{k}.json").read_text()) for k in (1, 2)]


@pytest.fixture(scope="module")
def results(predictions: Content, references: list[Content]) -> dict[str, Result]:
    """By every protocol, with as many annotators as it takes."""
    made = evaluate(predictions, references, OVERLAP), evaluate(predictions, references[0], ORDER)
    return dict(zip((*OVERLAP, *ORDER), itertools.chain(*made), strict=True))


def only(content: Content, videos: set[str]) -> Content:
    return {video: value for video, value in content.items() if video in videos}


Rows = list[tuple[list[float], str]]


def one_video(predicted: Rows, *annotators: Rows, **options: Any) -> Result:
    references = [{"a": dict(zip(("timestamps", "sentences"), zip(*rows, strict=True), strict=True))}
                  for rows in annotators]
    return evaluate({"a": [{"sentence": text, "timestamp": span} for span, text in predicted]}, references, **options)


# tables and scores

def test_nothing_can_be_changed(results: dict[str, Result]) -> None:
    result = results["vidchapters"]
    for record in (result, result.measures["F1"], result.pairs, result.event_pairs("kite_01")[0], result.rules):
        for field in dataclasses.fields(record):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(record, field.name, None)


def test_the_input_stays_as_it_is(predictions: Content, references: list[Content]) -> None:
    before = copy.deepcopy((predictions, references))
    evaluate(predictions, references, OVERLAP, metrics=None)
    assert (predictions, references) == before


@pytest.mark.parametrize("protocol", [*OVERLAP, *ORDER])
def test_a_score_is_made_of_its_rows(results: dict[str, Result], protocol: str) -> None:
    result = results[protocol]
    assert tuple(result.scores) == tuple(result.measures) == find_protocol(protocol).metrics
    for name, measure in result.measures.items():
        rows = list(measure.statistics)
        assert len(rows) == len(result.videos) and measure.statistics.dtype == np.float64
        assert result.scores[name] == pytest.approx(float(measure.finish(sum(rows))), abs=1e-12), name
        for video, row in zip(result.videos, rows, strict=True):
            if name in result.per_video[video]:
                assert result.per_video[video][name] == float(measure.finish(row)), (name, video)


def is_mean(name: str, protocol: str) -> bool:
    """Whether a score is the plain mean of its videos'; F1 is made of means, SODA of the means of each file."""
    corpus = name.startswith("para_") or (PROTOCOLS[protocol].cider == "corpus" and name == "CIDEr")
    per_file = name.startswith("soda") and PROTOCOLS[protocol].soda_files == "per-file"
    return "@" not in name and not name.startswith("F1") and not corpus and not per_file


@pytest.mark.parametrize("protocol", OVERLAP)
def test_means_over_videos_and_thresholds(results: dict[str, Result], protocol: str) -> None:
    result, rules = results[protocol], PROTOCOLS[protocol]
    means = [name for name in result.scores if is_mean(name, protocol)]
    assert len(means) >= 2
    for name in means:
        column = [table[name] for table in result.per_video.values() if name in table]
        assert np.mean(column) == pytest.approx(result.scores[name], abs=1e-12), name
    for name, values in result.per_threshold.items():
        assert len(values) == len(result.thresholds) or (name in rules.captions and len(values) == len(rules.tious))
        assert np.mean(values[:len(rules.tious)]) == pytest.approx(result.scores[name], abs=1e-12), name
        if name in ("Recall", "Precision", "F1") and rules.f1 == "per-threshold":
            assert {f"{name}@{label}": value for label, value in zip(result.thresholds, values, strict=True)} == \
                pytest.approx({f"{name}@{label}": result.scores[f"{name}@{label}"] for label in result.thresholds},
                              abs=1e-12)
        if name != "F1" and is_mean(name, protocol):
            by_video = [[table[label][name] for label, _ in zip(result.thresholds, values, strict=False)]
                        for table in result.per_video_thresholds.values()]
            assert np.mean(by_video, axis=0).tolist() == pytest.approx(list(values), abs=1e-12)
            of_tious = np.mean(np.array(by_video)[:, :len(rules.tious)], axis=1)
            assert [result.per_video[video][name] for video in result.videos] == pytest.approx(of_tious, abs=1e-12)


def test_f1_is_of_means_over_videos(results: dict[str, Result]) -> None:
    for protocol in ("vidchapters", "activitynet-2018"):
        scores, table = results[protocol].scores, results[protocol].per_threshold
        precision, recall = (np.array(table[kind][:4]) for kind in ("Precision", "Recall"))
        of_means = 2 * precision.mean() * recall.mean() / (precision.mean() + recall.mean())
        each = np.mean(2 * precision * recall / (precision + recall))
        assert abs(of_means - each) > 1e-5  # so that one cannot be taken for the other
        assert scores.get("F1", each) == pytest.approx(each, abs=1e-12)
        assert scores.get("F1_of_means", of_means) == pytest.approx(of_means, abs=1e-12)


def test_soda_per_file_is_the_mean_of_the_files(predictions: Content, references: list[Content],
                                               results: dict[str, Result]) -> None:
    alone = [evaluate(predictions, one) for one in references]
    for name in ("soda_c", "soda_d", "soda_d_f"):
        mean = np.mean([one.scores[name] for one in alone])
        assert results["vidchapters"].scores[name] == pytest.approx(mean, abs=1e-12)
        assert results["vidchapters"].per_video["kite_01"][name] == pytest.approx(
            np.mean([one.per_video["kite_01"][name] for one in alone]), abs=1e-12)


# sums of results

HALF = {"kite_01", "moth_07", "sled_08", "yarn_09", "soup_02"}
CORPUS = {"para_CIDEr"}


def halves(predictions: Content, references: list[Content], protocol: str, **options: Any) -> tuple[Result, Result]:
    parts = HALF, set(references[0]) - HALF
    return tuple(evaluate(only(predictions, part | {f"not_asked_{len(part) + at}"}),
                          [only(one, part) for one in references], protocol, **options)
                 for at, part in enumerate(parts, start=6))


@pytest.mark.parametrize("protocol", OVERLAP)
def test_halves_add_up(predictions: Content, references: list[Content], protocol: str) -> None:
    metrics = [name for name in find_protocol(protocol).metrics if name not in CORPUS]
    if protocol == "activitynet-2018-corpus-cider":
        metrics.remove("CIDEr")
    whole = evaluate(predictions, references, protocol, metrics=metrics)
    first, second = halves(predictions, references, protocol, metrics=metrics)
    for both in (first + second, second + first):
        assert list(both.scores) == list(whole.scores) == metrics and both.videos == whole.videos
        assert both.scores == pytest.approx(whole.scores, abs=1e-12)
        for video, row in whole.per_video.items():
            assert both.per_video[video] == pytest.approx(row, abs=1e-12)
        assert both.per_threshold.keys() == whole.per_threshold.keys()
        for name, values in whole.per_threshold.items():
            assert both.per_threshold[name] == pytest.approx(values, abs=1e-12)
        assert both.counts.tolist() == whole.counts.tolist() and both.coverage == whole.coverage
        assert both.to_csv().splitlines()[0] == whole.to_csv().splitlines()[0]
        assert both.signature.partition("|cov:")[2] == whole.signature.partition("|cov:")[2]


def test_the_order_of_halves_does_not_matter(predictions: Content, references: list[Content]) -> None:
    first, second = halves(predictions, references, "vidchapters", metrics=LOCAL, bootstrap=5)
    assert (first + second).signature == (second + first).signature
    assert "boot" not in (first + second).signature and not (first + second).intervals
    assert set((first + second).warnings) == {*first.warnings, *second.warnings}


def test_a_sum_keeps_what_missing_videos_would_cost(predictions: Content, references: list[Content]) -> None:
    """yarn_09 is missing from one half only."""
    names = ["CIDEr", "Recall", "F1"]
    first, second = halves(predictions, references, "vidchapters", metrics=names)
    whole = evaluate(predictions, references, metrics=names)
    assert (first + second).missing_as_zero == pytest.approx(whole.missing_as_zero, abs=1e-12)


def test_a_sum_knows_the_ids_of_both_halves(predictions: Content, references: list[Content]) -> None:
    """All predictions against half of the references, twice: what the other half asks for is not unknown."""
    one = references[0]
    first, second = (evaluate(predictions, only(one, part), metrics=["CIDEr"]) for part in (HALF, set(one) - HALF))
    assert (first + second).coverage["unknown"] == ["not_asked_11"]


def test_corpus_metrics_are_not_added(predictions: Content, references: list[Content]) -> None:
    for protocol, name in (("hicm", "para_CIDEr"), ("activitynet-2018-corpus-cider", "CIDEr")):
        first, second = halves(predictions, references, protocol, metrics=[name, "Recall"])
        with pytest.raises(UserError, match=rf"^{name} count n-grams over the whole data set, so results cannot be"):
            _ = first + second
    first, second = (evaluate(predictions, only(references[0], part), "video-recap", metrics=["CIDEr", "Bleu_4"])
                     for part in (HALF, set(references[0]) - HALF))
    with pytest.raises(UserError, match=r"^CIDEr count n-grams"):
        _ = first + second


def test_unlike_results_are_not_added(predictions: Content, references: list[Content]) -> None:
    first, _ = halves(predictions, references, "vidchapters", metrics=LOCAL)
    with pytest.raises(UserError, match=r"results share 4 videos \(first: kite_01\), so they cannot be added"):
        _ = first + first
    others: list[Content] = [
        {"protocol": "activitynet-2021", "metrics": ["CIDEr", "Recall"]}, {"metrics": LOCAL[:-1]},
        {"rules": {"max_proposals": 3}}, {"rules": {"tious": "0.5"}}]
    for options in others:
        other = halves(predictions, references, **{"protocol": "vidchapters", "metrics": LOCAL} | options)[1]
        with pytest.raises(UserError, match="results were scored by different rules: proto:"):
            _ = first + other
    with pytest.raises(UserError, match=r"different numbers of reference files|scored by different rules"):
        _ = first + evaluate(predictions, only(references[0], set(references[0]) - HALF), metrics=LOCAL)


@pytest.mark.parametrize(("one", "two"), [
    ({"max_proposals": 3}, {"max_proposals": 2}), ({"tious": "0.3,0.5"}, {"tious": "0.7,0.9"}),
    ({"soda_files": "merged"}, {"soda_files": "multi"})])
def test_changed_rules_must_be_the_same_ones(predictions: Content, references: list[Content], one: Content,
                                             two: Content) -> None:
    first = halves(predictions, references, "vidchapters", metrics=LOCAL, rules=one)[0]
    second = halves(predictions, references, "vidchapters", metrics=LOCAL, rules=two)[1]
    with pytest.raises(UserError, match="scored by different rules"):
        _ = first + second


# pairs of events

def test_pairs_by_hand() -> None:
    """IoU 1 and 6 s of 10 s with event 0, 2 s of 18 s with event 1 (below every threshold), nothing."""
    text = "add the salt now"
    result = one_video([([0, 10], text), ([0, 6], "stir"), ([50, 60], "salt"), ([18, 30], text)],
                       [([0, 10], text), ([12, 20], "stir it")])
    pairs = result.event_pairs("a")
    assert [pair.annotator for pair in pairs if pair.event is not None] == [0, 0] and len(pairs) == 5
    by_place = {(pair.prediction, pair.event): pair for pair in pairs}
    assert {place: pair.iou for place, pair in by_place.items()} == pytest.approx(
        {(0, 0): 1, (1, 0): 0.6, (1, None): 0.6, (2, None): 0, (3, None): 2 / 18}, abs=1e-8)
    assert by_place[0, 0].scores == pytest.approx({"Bleu_4": 1, "Rouge-L": 1, "METEOR": 1}, abs=1e-6)
    assert max(by_place[1, 0].scores.values()) < 1e-3 and by_place[1, 0].scores["METEOR"] == 0  # no word in common
    assert by_place[3, None].scores["Rouge-L"] == by_place[3, None].scores["METEOR"] == 0


@pytest.mark.parametrize("protocol", ["vidchapters", "activitynet-2018"])
def test_pairs_are_all_that_overlap(predictions: Content, references: list[Content], protocol: str) -> None:
    """By brute force; kite_01 is missing, so videos are counted differently in result and files."""
    predicted = {video: events for video, events in predictions.items() if video != "kite_01"}
    result = evaluate(predicted, references, protocol, metrics=["CIDEr", "Bleu_4"])
    assert ("kite_01" in result.videos) == (protocol != "vidchapters")
    for video in result.videos:
        expected = {}
        for place, event in enumerate(predicted.get(video, [])):
            start, end = event["timestamp"]
            best = 0.0
            for annotator, tracks in enumerate(references):
                for other, (low, high) in enumerate(tracks.get(video, {}).get("timestamps", [])):
                    shared = max(0.0, min(end, high) - max(start, low))
                    overlap = shared / (end - start + high - low - shared + 1e-8)
                    best = max(best, overlap)
                    if overlap >= 0.3:
                        expected[place, annotator, other] = overlap
            if best < 0.9:
                expected[place, None, None] = best
        pairs = result.event_pairs(video)
        assert {(pair.prediction, pair.annotator, pair.event): pair.iou for pair in pairs} == \
            pytest.approx(expected, abs=1e-12), video
        assert len(pairs) == len(expected)
        assert {pair.prediction for pair in pairs} == set(range(len(predicted.get(video, []))))


def test_pairs_that_are_not_there(results: dict[str, Result]) -> None:
    with pytest.raises(UserError, match=r"video yarn_09: not scored; scored are band_04, bike_03, clay_05 \.\.\."):
        results["vidchapters"].event_pairs("yarn_09")
    assert results["activitynet-2018"].event_pairs("yarn_09") == []
    for protocol in ("soda", "vidchapters-vc"):
        with pytest.raises(UserError, match=rf"no captions were compared event by event under {protocol}$"):
            results[protocol].event_pairs("kite_01")


# files

def test_csv(results: dict[str, Result], references: list[Content], predictions: Content) -> None:
    result = results["activitynet-2018"]
    text = result.to_csv()
    assert text.endswith("\n") and "\r" not in text and "nan" not in text
    rows = {row["video"]: row for row in csv.DictReader(io.StringIO(text))}
    assert list(rows) == sorted(references[0])
    first, *rest = csv.reader(io.StringIO(text))
    assert first[:4] == ["video", "predictions", "events_1", "events_2"] and len(rest) == 10
    captions = ["METEOR", "CIDEr", "ROUGE_L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4"]
    paragraph = [f"para_{name}" for name in captions]
    assert first[4:] == [*captions, "Recall", "Precision", "F1_of_means", "soda_c", *paragraph, *(
        f"{name}@{tiou}" for tiou in (0.3, 0.5, 0.7, 0.9) for name in (*captions, "Recall", "Precision"))]
    for video, row in rows.items():
        counts = [len(predictions.get(video, []))] + [len(one.get(video, {"sentences": []})["sentences"])
                                                      for one in references]
        assert [int(row[name]) for name in first[1:4]] == counts
        cells = {name: float(cell) for name, cell in row.items() if name not in first[:4] and cell}
        expected = dict(result.per_video[video]) | {
            f"{name}@{tiou}": value for tiou, table in result.per_video_thresholds[video].items()
            for name, value in table.items()}
        p, r = (result.per_video[video][name] for name in ("Precision", "Recall"))
        assert cells == expected | {"F1_of_means": 2 * p * r / (p + r) if p + r else 0.0}
    assert rows["yarn_09"]["soda_c"] == "" and rows["yarn_09"]["CIDEr"] == "0.0"  # left out of SODA, else 0
    assert results["vidchapters-vc"].to_csv().startswith("video,predictions,events,METEOR,")


@pytest.mark.parametrize("protocol", [*OVERLAP, *ORDER])
def test_json_is_plain_and_without_nan(results: dict[str, Result], protocol: str) -> None:
    result = results[protocol]
    content = json.loads(json.dumps(result.with_intervals(5).to_json(), allow_nan=False))
    assert content["scores"] == result.scores and content["per_video"] == result.per_video
    assert content["per_threshold"] == {name: list(values) for name, values in result.per_threshold.items()}
    assert content["coverage"] == result.coverage and content["warnings"] == list(result.warnings)
    assert content["intervals"].keys() == result.scores.keys()
    assert ("missing_as_zero" in content) == bool(result.missing_as_zero)
    assert content["thresholds"] == list(result.thresholds)


# intervals and signatures

def test_intervals(predictions: Content, references: list[Content], results: dict[str, Result]) -> None:
    """Percentiles of means of a bounded score lie around it; BLEU and METEOR of sums and F1 likewise."""
    plain = results["hicm"]
    result = plain.with_intervals(200, seed=3)
    assert list(result.intervals) == list(result.scores) and not plain.intervals
    for name, interval in result.intervals.items():
        assert interval.low < result.scores[name] < interval.high, name
    assert result.signature == f"{plain.signature}|boot:200,seed=3"
    again = evaluate(predictions, references, "hicm", bootstrap=200, seed=3)
    assert again.intervals == result.intervals and again.signature == result.signature
    assert plain.with_intervals(200, seed=4).intervals != result.intervals


def test_intervals_are_replaced(results: dict[str, Result]) -> None:
    once, twice = (results["soda"].with_intervals(samples, seed=1) for samples in (5, 9))
    assert once.with_intervals(9, seed=1).signature == twice.signature
    assert once.with_intervals(9, seed=1).intervals == twice.intervals


def digest(references: Any) -> str:
    result = evaluate({"kite_01": []}, references, metrics=["Recall"])
    return result.signature.partition("|refs:")[2].partition("|")[0]


def test_the_signature_knows_the_references(references: list[Content]) -> None:
    usual, first = digest(references), references[0]
    turned = [dict(reversed(one.items())) for one in references]
    assert digest(turned) == digest(references[::-1]) == digest(turned[::-1]) == usual
    changed = []
    for key, value in (("sentences", "A girl unrolls the string of a red kite"), ("timestamps", [2, 9.001])):
        content = copy.deepcopy(references)
        content[0]["kite_01"][key][0] = value
        changed.append(digest(content))
    content = copy.deepcopy(references)
    content[0]["kite_01"]["sentences"].reverse()
    changed += [digest(content), digest(first), digest([first, first]), digest(references[1])]
    content = copy.deepcopy(references)
    content[0]["kite_01"] |= {"duration": 99, "note": "never used"}
    assert digest(content) == usual
    assert len({usual, *changed}) == len(changed) + 1
    assert all(one.startswith("2@") for one in changed[:3]) and changed[3].startswith("1@")


# coverage and warnings

def test_ids_that_nearly_match(references: list[Content], predictions: Content) -> None:
    predicted = {{"kite_01": "v_kite_01", "soup_02": "Soup_02", "band_04": "v_Band_04"}.get(video, video): events
                 for video, events in predictions.items()}
    result = evaluate(predicted, references[0], metrics=LOCAL)
    assert result.coverage["missing"] == ["band_04", "kite_01", "soup_02", "yarn_09"]
    assert result.coverage["unknown_but_for_prefix"] == ["Soup_02", "v_Band_04", "v_kite_01"]
    assert result.coverage["unknown"] == ["Soup_02", "not_asked_11", "v_Band_04", "v_kite_01"]
    assert ("3 predicted ids differ from missing ones only by the prefix 'v_' and case (first: Soup_02); they are not "
            "scored: rename them in one of the files") in result.warnings


def test_references_that_say_things_twice(references: list[Content], predictions: Content) -> None:
    first = references[0]
    both = first | {"v_kite_01": first["kite_01"], "v_soup_02": first["soup_02"]}
    assert "references: 2 ids occur both with and without 'v_' (first: kite_01)" in evaluate(
        predictions, both, metrics=LOCAL).warnings
    assert "references 3: the same captions as in another reference file" in evaluate(
        predictions, [*references, copy.deepcopy(first)], metrics=LOCAL).warnings
    usual = evaluate(predictions, references, metrics=LOCAL).warnings
    assert not [one for one in usual if "same captions" in one or "occur both" in one or "differ from" in one]


def test_what_rules_make_of_missing_and_empty(results: dict[str, Result]) -> None:
    warnings = {name: [one for one in result.warnings if "not predicted" in one or "empty predictions" in one]
                for name, result in results.items()}
    missing = "1 of 10 reference videos are not predicted: "
    for name in ("vidchapters", "soda", "soda-multi", "vidchapters-vc", "video-recap"):
        assert warnings[name] == [f"{missing}left out of every mean"]
    assert warnings["hicm"] == warnings["activitynet-2018-corpus-cider"] == [f"{missing}counted as 0"]
    assert warnings["activitynet-2018"] == warnings["activitynet-2021"] == [
        f"{missing}counted as 0, but left out of SODA",
        "1 empty predictions count as 0 in SODA, where the toolkits fail"]
