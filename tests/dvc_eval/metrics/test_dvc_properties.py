"""What must hold for any input: bounds, invariances, brute force, stated values."""

import itertools
import random
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.dvc_eval import Result, evaluate
from hicm.dvc_eval.inputs.case import Case, build_case
from hicm.dvc_eval.inputs.read import Track
from hicm.dvc_eval.metrics import overlaps as overlaps_module
from hicm.dvc_eval.metrics.captions import pair_up
from hicm.dvc_eval.metrics.localisation import precision_recall
from hicm.dvc_eval.metrics.overlaps import find_overlaps, nearest_start
from hicm.dvc_eval.metrics.soda import UP, best_sums, chosen_pairs
from hicm.dvc_eval.metrics.spans import pair_iou
from hicm.dvc_eval.words.texts import Texts
from hicm.errors import UserError
from hicm.evaluation.measures import harmonic_mean

TIOUS = (0.3, 0.5, 0.7, 0.9)
METRICS = ["CIDEr", "Rouge-L", "Bleu_1", "Bleu_4", "Recall", "Precision", "F1", "F1@0.5", "Recall@5s", "soda_d",
           "soda_d_f"]

seconds = st.integers(0, 60).map(lambda half: half / 2)
spans = st.tuples(seconds, st.integers(1, 40)).map(lambda pair: [pair[0], pair[0] + pair[1] / 2])
words = st.sampled_from(["add", "stir", "the", "a", "pot", "salt", "rice", "and", "hot"])
events = st.lists(st.tuples(spans, st.lists(words, min_size=1, max_size=6).map(" ".join)), min_size=1, max_size=6)
cases = st.dictionaries(st.sampled_from("abcd"), st.tuples(events, events), min_size=1, max_size=3)


def score(case: dict[str, Any], protocol: str = "vidchapters") -> Result:
    predictions = {video: [{"sentence": text, "timestamp": span} for span, text in predicted]
                   for video, (predicted, _) in case.items()}
    references = {video: {"timestamps": [span for span, _ in reference], "sentences": [text for _, text in reference]}
                  for video, (_, reference) in case.items()}
    names = METRICS if protocol == "vidchapters" else None
    return evaluate(predictions, references, protocol, metrics=names)


def matrices(rows: int, columns: int) -> st.SearchStrategy[np.ndarray]:
    value = st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.5, 1.0, 0.695, 0.588])
    return st.lists(st.lists(value, min_size=columns, max_size=columns), min_size=rows, max_size=rows).map(np.array)


small = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda shape: matrices(*shape))


def brute_force(matrix: np.ndarray) -> float:
    """The best sum over all monotone one-to-one matchings, one by one."""
    rows, columns = matrix.shape
    return max(sum(matrix[i, j] for i, j in zip(chosen_rows, chosen_columns, strict=True))
               for size in range(min(rows, columns) + 1)
               for chosen_rows in itertools.combinations(range(rows), size)
               for chosen_columns in itertools.combinations(range(columns), size))


def best_sum(matrix: np.ndarray) -> float:
    row, column = np.nonzero(matrix)
    return float(best_sums(np.zeros(len(row), dtype=int), row, column, matrix[row, column], 1)[0])


def dense_best_sum(matrix: np.ndarray) -> float:
    """The programme as the paper writes it, cell by cell."""
    table = np.zeros((matrix.shape[0] + 1, matrix.shape[1] + 1))
    for i, j in itertools.product(range(matrix.shape[0]), range(matrix.shape[1])):
        table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j], table[i, j] + matrix[i, j])
    return float(table[-1, -1])


@settings(max_examples=60, deadline=None)
@given(small)
def test_soda_is_brute_force(matrix: np.ndarray) -> None:
    assert best_sum(matrix) == pytest.approx(brute_force(matrix), abs=1e-12)
    optimal = chosen_pairs(matrix, "optimal")
    assert sum(matrix[pair] for pair in optimal) == pytest.approx(brute_force(matrix), abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 1.0]))
def test_soda_is_the_dense_programme(rows: int, columns: int, seed: int, share: float) -> None:
    draw = np.random.default_rng(seed)
    matrix = draw.integers(0, 8, (rows, columns)) / 7 * (draw.random((rows, columns)) < share)
    assert best_sum(matrix) == dense_best_sum(matrix)  # the same additions in the same order: to the bit


def test_videos_do_not_see_each_other() -> None:
    video, row, column = np.array([0, 0, 2, 2]), np.array([0, 1, 0, 1]), np.array([1, 0, 0, 1])
    assert best_sums(video, row, column, np.array([0.5, 0.25, 0.5, 0.25]), 4).tolist() == [0.5, 0, 0.75, 0]


def shipped_walk(matrix: np.ndarray) -> list[tuple[int, int]]:
    """The toolkit's choices and its walk back, cell by cell."""
    rows, columns = matrix.shape
    value, choice = {}, {}
    for i, j in itertools.product(range(rows), range(columns)):
        options = [value[i - 1, j] if i else -1.0, value[i, j - 1] if j else -1.0,
                   (value[i - 1, j - 1] if i and j else 0.0) + matrix[i, j]]
        value[i, j] = max(options)
        choice[i, j] = options.index(value[i, j])
    pairs, i, j = [], rows - 1, columns - 1
    while i >= 0:
        taken = next((c for c in range(j, -1, -1) if choice[i, c] == 2), None)
        if taken is not None:
            pairs.append((i, taken))
            if not i or not taken:
                break
            j = taken - 1
        i -= 1
    return pairs[::-1]


@settings(max_examples=150, deadline=None)
@given(small)
def test_shipped_traceback(matrix: np.ndarray) -> None:
    pairs = chosen_pairs(matrix)
    assert pairs == shipped_walk(matrix)
    assert pairs
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(pairs))


def test_traceback_examples() -> None:
    """Not the optimal one, and never without a pair (both measured with the toolkit)."""
    assert chosen_pairs(np.array([[0, 0.695], [0.588, 0]])) == [(1, 0)]
    assert chosen_pairs(np.zeros((3, 4))) == [(0, 0)]
    assert best_sum(np.zeros((3, 4))) == 0
    assert UP == 0


class PairMeteor:
    """Stands in for METEOR: a fixed score for each pair of captions."""

    name = "made-up"

    def __init__(self, scores: dict[tuple[str, str], float]) -> None:
        self.scores = scores

    def statistics(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        rows = np.zeros((len(pairs), 23))
        rows[:, 0] = [self.scores.get(pair, 0.0) for pair in pairs]
        return rows

    def score(self, statistics: np.ndarray) -> np.ndarray:
        return statistics[..., 0]


def soda_scores(predicted: list, reference: list, meteor: dict, **rules: Any) -> dict[str, float]:
    """SODA's F by type, of one video."""
    predictions = {"a": [{"sentence": text, "timestamp": span} for span, text in predicted]}
    references = {"a": {"timestamps": [span for span, _ in reference], "sentences": [text for _, text in reference]}}
    result = evaluate(predictions, references, "soda", metrics=["soda_a", "soda_b", "soda_c", "soda_d"], rules=rules,
                      meteor=PairMeteor(meteor))
    return {name[-1]: value for name, value in result.scores.items()}


REFERENCE = [([0, 10], "red"), ([20, 30], "blue")]
METEOR = {("red", "one"): 0.5, ("blue", "two"): 0.5, ("red", "two"): 0.9, ("blue", "one"): 0.9}


def test_soda_types_differ_as_told() -> None:
    """IoU 0.6 and 0.2 on the diagonal; the reference is METEOR's hypothesis unless roles are corrected."""
    predicted = [([0, 6], "one"), ([20, 22], "two")]
    found = soda_scores(predicted, REFERENCE, METEOR)
    assert found["d"] == pytest.approx(0.4, abs=1e-7)
    assert found["c"] == pytest.approx(0.2, abs=1e-7)
    assert found["b"] == pytest.approx(0.5)
    # a: at 0.3 and 0.5 row 1 takes nothing, so the walk goes up and pairs (0, 0) alone; above, nothing is left, and
    # the walk still pairs (0, 0).
    assert found["a"] == pytest.approx(0.25)
    assert set(soda_scores(predicted, REFERENCE, METEOR, soda_roles="corrected").values()) == {0.0, found["d"]}
    turned = {pair[::-1]: value for pair, value in METEOR.items()}
    assert soda_scores(predicted, REFERENCE, turned, soda_roles="corrected") == found


def test_soda_without_overlap_still_pairs_the_first_two_as_shipped() -> None:
    far = [([100, 110], "one")]
    assert soda_scores(far, REFERENCE, METEOR) == {"a": pytest.approx(1 / 3), "b": pytest.approx(1 / 3), "c": 0, "d": 0}
    assert soda_scores(far, REFERENCE, METEOR, soda_traceback="optimal") == {"a": 0, "b": 0, "c": 0, "d": 0}


def test_soda_without_predictions() -> None:
    assert soda_scores([], REFERENCE, METEOR) == {"a": 0, "b": 0, "c": 0, "d": 0}


def one_video(predicted: np.ndarray, *annotators: np.ndarray) -> Case:
    def track(spans: np.ndarray) -> Track:
        return Track(np.asarray(spans, dtype=float).reshape(-1, 2), tuple("x" for _ in spans))
    return build_case({"a": track(predicted)}, [{"a": track(spans)} for spans in annotators])


def ratios(predicted: np.ndarray, reference: np.ndarray, tious: tuple,
           distances: tuple = ()) -> tuple[np.ndarray, np.ndarray]:
    case = one_video(predicted, reference)
    precision, recall = precision_recall(case, [find_overlaps(case, case.annotators[0])], tious, distances, 1000)
    return precision[0], recall[0]


odd_span = st.tuples(seconds, st.integers(-4, 40)).map(lambda pair: [pair[0], pair[0] + pair[1] / 2])


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of all pairs, (n, 2) and (m, 2) -> (n, m)."""
    return pair_iou(first[:, None], second[None])


@settings(max_examples=200, deadline=None)
@given(st.lists(odd_span, max_size=9), st.lists(odd_span, min_size=1, max_size=9))
def test_overlaps_are_those_of_all_pairs(predicted: list, reference: list) -> None:
    """Spans of no length and reversed ones too; nearest starts likewise."""
    case = one_video(np.array(predicted), np.array(reference))
    found = find_overlaps(case, case.annotators[0])
    predicted, reference = case.predicted.spans, case.annotators[0].spans
    dense = iou(predicted, reference)
    assert np.stack([found.prediction, found.event], axis=1).tolist() == np.argwhere(dense > 0).tolist()
    assert found.iou.tolist() == dense[dense > 0].tolist()
    apart = np.abs(predicted[:, None, 0] - reference[None, :, 0])
    assert nearest_start(case.predicted, case.annotators[0]).tolist() == apart.min(axis=1).tolist()


def test_too_many_overlaps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlaps_module, "MOST", 100)
    many = np.tile([0.0, 10.0], (11, 1))
    with pytest.raises(UserError, match=r"video a: 11 predictions and 11 events overlap in 121 pairs, more than 100"):
        find_overlaps(one_video(many, many), one_video(many, many).annotators[0])


@settings(max_examples=50, deadline=None)
@given(st.lists(spans, min_size=1, max_size=8).map(np.array), st.lists(spans, min_size=1, max_size=8).map(np.array))
def test_iou(first: np.ndarray, second: np.ndarray) -> None:
    overlap = iou(first, second)
    assert overlap == pytest.approx(iou(second, first).T, abs=1e-12)
    assert ((overlap >= 0) & (overlap < 1)).all()
    for (i, (s, e)), (j, (S, E)) in itertools.product(enumerate(first.tolist()), enumerate(second.tolist())):
        union = min(max(E, e) - min(S, s), ((E - S) + e) - s)
        assert overlap[i, j] == max(0, min(E, e) - max(S, s)) / (union + 1e-8)  # to the bit: order of operations


def test_ties_and_odd_spans() -> None:
    """5 s of 10 s shared is below 0.5; nothing is 1; no length and reversed spans have no overlap."""
    one = np.array([[0.0, 10.0]])
    assert iou(one, np.array([[0.0, 5.0], [0.0, 10.0]]))[0] == pytest.approx([0.4999999995, 0.999999999], abs=1e-12)
    assert iou(one, np.array([[3.0, 3.0], [9.0, 2.0]]))[0].tolist() == [0, 0]
    assert ratios(one, np.array([[5.0, 10.0]]), (0.5,), (5, 6))[0].tolist() == [0, 0, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(spans, min_size=1, max_size=8).map(np.array), st.lists(spans, min_size=1, max_size=8).map(np.array))
def test_thresholds_are_nested(predicted: np.ndarray, reference: np.ndarray) -> None:
    precision, recall = ratios(predicted, reference, TIOUS, (1, 3, 5))
    for values in (precision, recall):
        assert (np.diff(values[:4]) <= 0).all()
        assert (np.diff(values[4:]) >= 0).all()
    case = one_video(predicted, reference)
    texts = Texts(["x"], np.zeros(len(predicted), dtype=int), [np.zeros(len(reference), dtype=int)])
    pairs = pair_up(case, [find_overlaps(case, case.annotators[0])], texts, TIOUS, 1000)
    sets = []
    for tiou in TIOUS:
        chosen = pairs.at(tiou)
        found = list(zip(pairs.prediction[chosen], pairs.event[chosen], strict=True))
        assert len(set(found)) == len(found)
        assert {i for i, _ in found} == set(range(len(predicted)))  # every prediction is scored
        real = {(i, j) for i, j in found if j >= 0}
        assert {i for i, _ in real}.isdisjoint(i for i, j in found if j < 0)
        sets.append(real)
    assert all(lower >= higher for lower, higher in itertools.pairwise(sets))


@settings(max_examples=25, deadline=None)
@given(cases)
def test_perfect_predictions(case: dict) -> None:
    perfect = score({video: (reference, reference) for video, (_, reference) in case.items()})
    assert perfect.scores["F1"] == perfect.scores["Recall"] == perfect.scores["Precision"] == 1
    assert perfect.scores["soda_d"] == pytest.approx(1, abs=1e-7)  # 1e-8 over a length of half a second


def test_perfect_predictions_of_usual_length() -> None:
    long = [([0, 10], "add salt"), ([10, 30], "stir the pot")]
    assert score({"a": (long, long)}).scores["soda_d"] == pytest.approx(1, abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_order_does_not_matter(case: dict, shuffler: random.Random) -> None:
    turned = list(case)
    shuffler.shuffle(turned)
    # Equal starts keep file order in SODA, so only events with distinct starts may be turned freely.
    other = {}
    for video in turned:
        predicted, reference = (sorted(side, key=lambda row: row[0][0]) for side in case[video])
        other[video] = ([*predicted], [*reference])
        for side in other[video]:
            if len({row[0][0] for row in side}) == len(side):
                shuffler.shuffle(side)
    sorted_case = {video: tuple(sorted(side, key=lambda row: row[0][0]) for side in sides)
                   for video, sides in case.items()}
    first, second = score(sorted_case), score(other)
    assert second.scores == pytest.approx(first.scores, abs=1e-12)
    assert score(dict(reversed(sorted_case.items()))).scores == first.scores  # videos: to the bit
    for video, table in first.per_video.items():
        assert second.per_video[video] == pytest.approx(table, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(cases, words)
def test_a_far_off_prediction_never_raises_precision_or_recall(case: dict, word: str) -> None:
    before = score(case)
    after = score({video: ([*predicted, ([1000, 1010], word)], reference)
                   for video, (predicted, reference) in case.items()})
    for name in ("Recall", "Recall@5s"):
        assert after.scores[name] == pytest.approx(before.scores[name], abs=1e-12)
    assert after.scores["Precision"] <= before.scores["Precision"] + 1e-12
    assert after.scores["soda_d_f"] <= before.scores["soda_d_f"] + 1e-12


@settings(max_examples=25, deadline=None)
@given(cases)
def test_bounds_and_means(case: dict) -> None:
    result = score(case)
    for name, value in result.scores.items():
        assert 0 <= value <= (10 if name == "CIDEr" else 1) + 1e-12, name
        if name in next(iter(result.per_video.values())):
            assert np.mean([table[name] for table in result.per_video.values()]) == pytest.approx(value, abs=1e-12)
    f1 = harmonic_mean(np.array(result.per_threshold["Precision"]), np.array(result.per_threshold["Recall"]))
    assert result.per_threshold["F1"] == pytest.approx(tuple(f1), abs=1e-12)


def test_repeating_predictions_changes_no_precision_or_recall() -> None:
    case = {"a": ([([0, 9], "add salt"), ([40, 44], "stir")], [([0, 10], "add salt"), ([20, 30], "stir")])}
    twice = {video: (predicted * 2, reference) for video, (predicted, reference) in case.items()}
    for name in ("Precision", "Recall", "F1"):
        assert score(twice).scores[name] == score(case).scores[name]


def test_thousands_of_events() -> None:
    """No recursion, no square of the captions: 5,000 events on both sides of one video."""
    predicted = [([second, second + 1.5], "add the salt") for second in range(5000)]
    reference = [([second + 0.25, second + 1.25], "stir the hot pot") for second in range(5000)]
    started = time.monotonic()
    result = score({"a": (predicted, reference)})
    assert time.monotonic() - started < 20  # about 2 s on an idle core
    assert result.scores["soda_d"] == pytest.approx(1 / 1.5, abs=1e-6)
    assert any("more than 990 predictions and events" in warning for warning in result.warnings)


@pytest.mark.parametrize("size", [495, 496])
def test_around_the_recursion_limit(size: int) -> None:
    row = [([k, k + 1.0], "x") for k in range(size)]
    assert score({"a": (row, row)}).scores["soda_d_f"] == pytest.approx(1, abs=1e-7)
