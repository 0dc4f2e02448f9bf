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
from hicm.dvc_eval.localisation import harmonic_mean, precision_recall
from hicm.dvc_eval.pairs import pair_up
from hicm.dvc_eval.soda import UP, best_sum, by_start, chosen_pairs, soda
from hicm.dvc_eval.spans import iou, start_distance
from hicm.dvc_eval.text.bleu import bleu, clipped_matches
from hicm.dvc_eval.text.cider import cider
from hicm.dvc_eval.text.grams import count_grams
from hicm.dvc_eval.text.rouge import longest_common, rouge_l

TIOUS = (0.3, 0.5, 0.7, 0.9)
METRICS = ["CIDEr", "Rouge-L", "Bleu_1", "Bleu_4", "Recall", "Precision", "F1", "F1@0.5", "Recall@5s", "soda_d",
           "soda_d_f"]

seconds = st.integers(0, 60).map(lambda half: half / 2)
spans = st.tuples(seconds, st.integers(1, 40)).map(lambda pair: [pair[0], pair[0] + pair[1] / 2])
words = st.sampled_from(["add", "stir", "the", "a", "pot", "salt", "rice", "and", "hot"])
events = st.lists(st.tuples(spans, st.lists(words, min_size=1, max_size=6).map(" ".join)), min_size=1, max_size=6)
cases = st.dictionaries(st.sampled_from("abcd"), st.tuples(events, events), min_size=1, max_size=3)


def score(case: dict[str, Any], protocol: str = "vidchapters") -> Result:
    predictions = {video: [{"sentence": text, "timestamp": span} for span, text in said]
                   for video, (said, _) in case.items()}
    references = {video: {"timestamps": [span for span, _ in written], "sentences": [text for _, text in written]}
                  for video, (_, written) in case.items()}
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


@settings(max_examples=60, deadline=None)
@given(small)
def test_soda_is_brute_force(matrix: np.ndarray) -> None:
    assert best_sum(matrix, matrix.shape[1]) == pytest.approx(brute_force(matrix), abs=1e-12)
    optimal = chosen_pairs(matrix, "optimal")
    assert sum(matrix[pair] for pair in optimal) == pytest.approx(brute_force(matrix), abs=1e-12)


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
    assert best_sum(np.zeros((3, 4)), 4) == 0
    assert UP == 0


@pytest.mark.parametrize("kind", "abcd")
def test_soda_without_predictions(kind: str) -> None:
    assert soda(kind, np.zeros((3, 0)), lambda rows, columns: np.ones(len(rows))) == (0, 0, 0)


def test_soda_types_differ_as_told() -> None:
    overlap = np.array([[0.6, 0.0], [0.0, 0.2]])

    def meteor(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.where(rows == columns, 0.5, 0.9)
    assert soda("d", overlap) == pytest.approx((0.4, 0.4, 0.4))
    assert soda("c", overlap, meteor) == pytest.approx((0.2, 0.2, 0.2))
    assert soda("b", overlap, meteor) == pytest.approx((0.5, 0.5, 0.5))
    # Below the threshold row 1 takes nothing, so the walk goes up and pairs (0, 0) alone.
    assert soda("a", overlap, meteor, tiou=0.5) == pytest.approx((0.25, 0.25, 0.25))
    with pytest.raises(ValueError, match="needs METEOR"):
        soda("c", overlap)


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
    assert start_distance(np.array([[4.0, 5.0]]), np.array([[1.0, 9.0], [4.5, 6.0]])).tolist() == [[3.0, 0.5]]
    assert precision_recall(one, [np.array([[5.0, 10.0]])], (0.5,), (5, 6))[0].tolist() == [0, 0, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(spans, min_size=1, max_size=8).map(np.array), st.lists(spans, min_size=1, max_size=8).map(np.array))
def test_thresholds_are_nested(said: np.ndarray, written: np.ndarray) -> None:
    precision, recall = precision_recall(said, [written], TIOUS, (1, 3, 5))
    for values in (precision, recall):
        assert (np.diff(values[:4]) <= 0).all()
        assert (np.diff(values[4:]) >= 0).all()
    pairs = pair_up(0, said, written, TIOUS)
    sets = []
    for tiou in TIOUS:
        chosen = pairs.at(tiou)
        found = list(zip(pairs.hypothesis[chosen], pairs.reference[chosen], strict=True))
        assert len(set(found)) == len(found)
        assert {i for i, _ in found} == set(range(len(said)))  # every prediction is scored
        real = {(i, j) for i, j in found if j >= 0}
        assert {i for i, _ in real}.isdisjoint(i for i, j in found if j < 0)
        sets.append(real)
    assert all(lower >= higher for lower, higher in itertools.pairwise(sets))


@settings(max_examples=25, deadline=None)
@given(cases)
def test_perfect_predictions(case: dict) -> None:
    perfect = score({video: (written, written) for video, (_, written) in case.items()})
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
        said, written = (sorted(side, key=lambda row: row[0][0]) for side in case[video])
        other[video] = ([*said], [*written])
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
    after = score({video: ([*said, ([1000, 1010], word)], written) for video, (said, written) in case.items()})
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
    twice = {video: (said * 2, written) for video, (said, written) in case.items()}
    for name in ("Precision", "Recall", "F1"):
        assert score(twice).scores[name] == score(case).scores[name]


# coco-caption's CIDEr on perfect pairs: unmatched predictions lower it (values measured with pycocoevalcap), a caption
# of three words has no 4-gram and loses an eighth of two pairs' score.
DISJOINT = ["add the salt slowly now", "stir one hot pot well"]
SHORT = ["add the salt slowly now", "stir one pot"]


@pytest.mark.parametrize(("captions", "junk", "expected"), [
    (DISJOINT, 0, 10.0), (SHORT, 0, 8.75), (DISJOINT[:1], 0, 0.0), (DISJOINT[:1], 1, 5.0),
    (DISJOINT, 1, 6.667), (DISJOINT, 2, 5.0), (DISJOINT, 4, 3.333), (DISJOINT, 8, 2.0),
])
def test_cider_values(captions: list[str], junk: int, expected: float) -> None:
    grams = count_grams([*captions, "qqqqqqqqqq", *(f"far{k}" for k in range(junk))])
    said = np.array([*range(len(captions)), *range(len(captions) + 1, len(captions) + 1 + junk)])
    written = np.array([*range(len(captions)), *[len(captions)] * junk])
    assert cider(grams, said, written, np.zeros(len(said), dtype=int), 1)[0] == pytest.approx(expected, abs=1e-3)


def test_bleu_degenerate() -> None:
    """Too short for an order 1e-6, no match 1e-15, nothing 0; worked by hand."""
    grams = count_grams(["salt", "rice", "", "salt the rice now"])

    def of(hypothesis: int, reference: int) -> list[float]:
        said, written = np.array([hypothesis]), np.array([reference])
        return bleu(clipped_matches(grams, said, written), grams.length[said].astype(float),
                    grams.length[written].astype(float), np.array([0]), 1)[0].tolist()
    assert of(0, 0) == pytest.approx([1, 1e-3, 1e-4, 1e-18 ** 0.25], rel=1e-6)
    assert of(0, 1)[0] == pytest.approx(1e-15, rel=1e-6)
    assert of(2, 3) == [0, 0, 0, 0]
    assert of(0, 3)[0] == pytest.approx(np.exp(1 - 4), rel=1e-6)
    assert bleu(np.zeros((0, 4)), np.zeros(0), np.zeros(0), np.zeros(0, dtype=int), 1).tolist() == [[0, 0, 0, 0]]


def test_no_break_space_splits_for_bleu_and_cider_only() -> None:
    mixed, apart = "add 1\u00a01/2 cups", "add 1 1/2 cups"
    assert count_grams([mixed, apart]).length.tolist() == [4, 4]
    assert rouge_l([mixed, apart], [(0, 1), (1, 1)]).tolist() != [1, 1]


@settings(max_examples=100, deadline=None)
@given(st.lists(words, max_size=90), st.lists(words, max_size=90))
def test_longest_common_subsequence(first: list[str], second: list[str]) -> None:
    row = [0] * (len(second) + 1)
    for token in first:
        last, row = row, [0]
        for j, other in enumerate(second):
            row.append(last[j] + 1 if token == other else max(last[j + 1], row[j]))
    assert longest_common(first, second) == row[-1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(words, max_size=7).map(" ".join), max_size=6))
def test_grams_are_the_counted_ones(captions: list[str]) -> None:
    grams = count_grams(captions)
    for index, caption in enumerate(captions):
        tokens = caption.split()
        wanted: dict[tuple, int] = {}
        for n in range(1, 5):
            for start in range(len(tokens) - n + 1):
                gram = tuple(tokens[start:start + n])
                wanted[gram] = wanted.get(gram, 0) + 1
        at = slice(grams.offsets[index], grams.offsets[index + 1])
        assert sorted(zip(grams.order[at] + 1, grams.count[at], strict=True)) == \
            sorted((len(gram), count) for gram, count in wanted.items())
        assert grams.counts_in(np.full(len(grams.gram[at]), index), grams.gram[at]).tolist() == grams.count[at].tolist()
    assert len(np.unique(grams.gram)) == len({tuple(t.split()[s:s + n]) for t in captions for n in range(1, 5)
                                              for s in range(len(t.split()) - n + 1)})


def test_thousands_of_events() -> None:
    """No recursion, no square of the captions: 5,000 events on both sides of one video."""
    said = [([second, second + 1.5], "add the salt") for second in range(5000)]
    written = [([second + 0.25, second + 1.25], "stir the hot pot") for second in range(5000)]
    started = time.monotonic()
    result = score({"a": (said, written)})
    assert time.monotonic() - started < 20  # about 2 s on an idle core
    assert result.scores["soda_d"] == pytest.approx(1 / 1.5, abs=1e-6)
    assert any("more than 990 events" in warning for warning in result.warnings)


@pytest.mark.parametrize("size", [495, 496])
def test_around_the_recursion_limit(size: int) -> None:
    at = np.array([[k, k + 1.0] for k in range(size)])
    assert by_start(at[::-1]).tolist() == list(range(size))[::-1]
    assert soda("d", iou(at, at))[2] == pytest.approx(1, abs=1e-7)
