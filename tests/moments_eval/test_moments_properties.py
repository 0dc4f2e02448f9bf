"""Properties of the scores of moments, among them: equal to the definitions written out query by query."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scores import average_precision, best_iou, highlight_precision

from hicm.moments.records import Annotations, Prediction, Query, Submission
from hicm.moments_eval import Result, evaluate
from hicm.moments_eval.inputs import windows as windows_module
from hicm.moments_eval.inputs.protocols import LEVELS
from hicm.moments_eval.metrics.overlaps import cross_iou

# Few distinct values, so that ties of scores and of IoUs, and IoUs at a threshold, are common.
TIME = st.integers(-4, 44).map(lambda time: time / 2)
TRUE = st.tuples(TIME, st.integers(1, 40)).map(lambda pair: (pair[0], pair[0] + pair[1] / 2))
PREDICTED = st.tuples(TIME, TIME, st.integers(0, 5).map(lambda score: score / 5))
QUERY = st.tuples(st.lists(TRUE, min_size=1, max_size=5), st.lists(PREDICTED, min_size=1, max_size=13),
                  st.integers(1, 6), st.lists(st.integers(-2, 2), min_size=1, max_size=8), st.integers(0, 4 ** 18 - 1))
SETS = st.lists(QUERY, min_size=1, max_size=6)


def make(drawn: list) -> tuple[Annotations, Submission]:
    queries, predictions = [], {}
    for at, (true, predicted, clips, scores, ratings) in enumerate(drawn):
        table = np.array([ratings // 5 ** place % 5 for place in range(3 * clips)], dtype=float).reshape(clips, 3)
        windows = np.array(true, dtype=float)
        queries.append(Query(str(at), "", f"v{at // 2}", 2.0 * clips, windows, np.arange(clips), table))
        predictions[str(at)] = Prediction(np.array(predicted, dtype=float), np.array(scores, dtype=float))
    return Annotations(tuple(queries), "made up"), Submission(predictions, "made up")


def score(drawn: list, **rules: object) -> Result:
    annotations, submission = make(drawn)
    return evaluate(submission, annotations, "charades", rules={"highlights": True, **rules})


@given(SETS)
@settings(max_examples=40)
def test_equal_to_the_plain_definitions(drawn: list) -> None:
    result = score(drawn)
    for at, (true, predicted, clips, scores, _) in enumerate(drawn):
        own = result.per_query[str(at)]
        first = best_iou(predicted[0], true)
        assert own["mIoU"] == pytest.approx(first, abs=1e-12)
        expected = [average_precision(predicted, true, tiou) for tiou in result.rules.tious]
        assert [own[f"mAP@{tiou:g}"] for tiou in result.rules.tious] == pytest.approx(expected, abs=1e-12)
        assert own["mAP"] == pytest.approx(np.mean(expected), abs=1e-12)
        for part, (low, high) in result.rules.range_ends.items():
            kept = [window for window in true if low < window[1] - window[0] <= high]
            assert (f"{part}-mAP" in own) == bool(kept)
            if kept:
                assert own[f"{part}-mAP@0.5"] == pytest.approx(average_precision(predicted, kept, 0.5), abs=1e-12)
                assert own[f"{part}-mIoU"] == pytest.approx(best_iou(predicted[0], kept), abs=1e-12)
        table = make(drawn)[0].queries[at].ratings
        padded = [*scores, *[0] * clips][:clips]
        for level, rating in LEVELS.items():
            expected = np.mean([highlight_precision(padded, (column >= rating).tolist()) for column in table.T])
            assert own[f"HL-mAP-{level}"] == pytest.approx(expected, abs=1e-12)
            best = scores.index(max(scores))
            assert own[f"HL-Hit1-{level}"] == (best < clips and bool((table[best] >= rating).any()))


@given(SETS)
@settings(max_examples=10)
def test_blocks_change_nothing(drawn: list) -> None:
    whole = score(drawn).scores
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows_module, "CELLS", 1)
        assert score(drawn).scores == whole


@given(SETS)
@settings(max_examples=15)
def test_bounds_and_order(drawn: list) -> None:
    scores = score(drawn).scores
    assert all(0.0 <= value <= 1.0 for value in scores.values())
    for kind in ("mAP", "R1"):
        values = [value for name, value in scores.items() if name.startswith(f"{kind}@")]
        assert values == sorted(values, reverse=True), "a higher IoU is met less often"


@given(SETS)
@settings(max_examples=15)
def test_true_windows_as_predictions_are_perfect(drawn: list) -> None:
    annotations, _ = make(drawn)
    windows = {one.id: np.unique(one.windows, axis=0) for one in annotations.queries}
    distinct = Annotations(tuple(Query(name, "", "", 10.0, own) for name, own in windows.items()), "")
    perfect = Submission({name: Prediction(np.concatenate([own, np.ones((len(own), 1))], axis=1))
                          for name, own in windows.items()}, "")
    scores = evaluate(perfect, distinct, "charades").scores
    assert {scores[name] for name in ("R1@0.95", "mIoU", "mAP", "mAP@0.95")} == {1.0}


@given(SETS, st.randoms(use_true_random=False))
@settings(max_examples=10)
def test_the_order_of_queries_does_not_matter(drawn: list, random: object) -> None:
    annotations, submission = make(drawn)
    queries = list(annotations.queries)
    random.shuffle(queries)  # type: ignore[attr-defined]
    one = evaluate(submission, annotations, "charades")
    two = evaluate(submission, Annotations(tuple(queries), "made up"), "charades")
    assert one.scores == pytest.approx(two.scores, abs=1e-12) and one.signature == two.signature


def test_windows_without_length() -> None:
    spans = np.array([[3.0, 3.0], [5.0, 2.0], [0.0, 10.0]])
    assert cross_iou(spans, spans).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_order_by_score_uses_the_best_window() -> None:
    annotations = [{"qid": 1, "query": "", "duration": 60, "relevant_windows": [[10, 20]]}]
    listed = [[0, 4, 0.1]] * 12 + [[10, 20, 0.9]]
    for order, expected in (("listed", [0.0, 0.0]), ("score", [1.0, 1.0])):
        scores = evaluate({"1": listed}, annotations, "charades", rules={"order": order}).scores
        assert [scores["R1@0.5"], scores["mAP"]] == expected


def test_windows_are_cut_to_the_video() -> None:
    annotations = [{"qid": 1, "query": "", "duration": 60, "relevant_windows": [[50, 60]]}]
    scores = [evaluate({"1": [[50, 90, 0.5]]}, annotations, "charades", rules={"clamp_to_video": on}).scores["mIoU"]
              for on in (False, True)]
    assert scores == [0.25, 1.0]
