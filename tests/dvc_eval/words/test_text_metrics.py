"""CIDEr, BLEU and ROUGE-L on captions worked by hand, with several references, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.dvc_eval.inputs.arrays import find_distinct, sort_stably
from hicm.dvc_eval.words.bleu import bleu_scores, bleu_statistics
from hicm.dvc_eval.words.cider import cider, cider_of_some
from hicm.dvc_eval.words.grams import count_grams
from hicm.dvc_eval.words.rouge import common_lengths, longest_common, rouge_l

words = st.sampled_from(["add", "stir", "the", "a", "pot", "salt", "rice", "and", "hot"])

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
    hypothesis = np.array([*range(len(captions)), *range(len(captions) + 1, len(captions) + 1 + junk)])
    reference = np.array([*range(len(captions)), *[len(captions)] * junk])
    each = cider(grams, hypothesis, reference[:, None], np.zeros(len(hypothesis), dtype=int), 1)
    assert each.mean() == pytest.approx(expected, abs=1e-3)


def test_bleu_degenerate() -> None:
    """Too short for an order 1e-6, no match 1e-15, nothing 0; worked by hand."""
    grams = count_grams(["salt", "rice", "", "salt the rice now"])

    def of(hypothesis: int, reference: int) -> list[float]:
        return bleu_scores(bleu_statistics(grams, np.array([hypothesis]), np.array([[reference]])))[0].tolist()
    assert of(0, 0) == pytest.approx([1, 1e-3, 1e-4, 1e-18 ** 0.25], rel=1e-6)
    assert of(0, 1)[0] == pytest.approx(1e-15, rel=1e-6)
    assert of(2, 3) == [0, 0, 0, 0]
    assert of(0, 3)[0] == pytest.approx(np.exp(1 - 4), rel=1e-6)
    assert bleu_scores(np.zeros(10)).tolist() == [0, 0, 0, 0]


def test_several_references() -> None:
    """BLEU clips by the largest count and takes the closest length, of two the shorter; ROUGE-L takes precision and
    recall from whichever reference; CIDEr is the mean over references."""
    grams = count_grams(["the the salt now", "the the", "salt now then or later", "the salt", "salt"])
    counts = bleu_statistics(grams, np.array([0, 3]), np.array([[1, 2], [4, -1]]))
    assert counts[0].tolist() == [4, 2, 0, 0, 4, 3, 2, 1, 4, 5]
    assert counts[1].tolist() == [1, 0, 0, 0, 2, 1, 0, 0, 2, 1]
    tie = bleu_statistics(count_grams(["a b c", "a b", "a b c d"]), np.array([0]), np.array([[2, 1]]))
    assert tie[0, -1] == 2
    captions = ["a b c d", "a x y z", "a b c d e f g h"]
    assert rouge_l(captions, np.array([0]), np.array([[1, 2]]))[0] == pytest.approx(
        rouge_l(["p p p p", "p p p p q q q q"], np.array([0]), np.array([[1]]))[0])
    texts = ["add the salt", "add salt", "stir it", "fry it all"]
    grams, owner = count_grams(texts), np.zeros(2, dtype=int)
    both = cider(grams, np.array([0, 2]), np.array([[1, 0], [3, -1]]), owner, 1)
    assert both[1] == cider(grams, np.array([0, 2]), np.array([[1], [3]]), owner, 1)[1]
    assert 0 < both[0] < 10

def test_no_break_space_splits_for_bleu_and_cider_only() -> None:
    mixed, apart = "add 1\u00a01/2 cups", "add 1 1/2 cups"
    assert count_grams([mixed, apart]).length.tolist() == [4, 4]
    assert rouge_l([mixed, apart], np.array([0, 1]), np.array([[1], [1]])).tolist() != [1, 1]


@settings(max_examples=100, deadline=None)
@given(st.lists(words, max_size=90), st.lists(words, max_size=90))
def test_longest_common_subsequence(first: list[str], second: list[str]) -> None:
    row = [0] * (len(second) + 1)
    for token in first:
        last, row = row, [0]
        for j, other in enumerate(second):
            row.append(last[j] + 1 if token == other else max(last[j + 1], row[j]))
    assert longest_common(first, second) == row[-1]
    assert common_lengths([first, second], np.array([0]), np.array([1])).tolist() == [row[-1]]


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


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(words, max_size=6).map(" ".join), min_size=1, max_size=6), st.data())
def test_cider_of_some_pairs_is_that_of_these_alone(captions: list[str], data: st.DataObject) -> None:
    """To the bit, for several choices of pairs at once, one or two references each, some of them missing."""
    caption = st.integers(0, len(captions) - 1)
    references = data.draw(st.integers(1, 2))
    row = st.tuples(caption, st.integers(0, 1), st.lists(st.integers(-1, len(captions) - 1), min_size=references,
                                                         max_size=references))
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    hypothesis, owner, other = (np.array(column) for column in zip(*rows, strict=True))
    chosen = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)), min_size=1,
                                         max_size=3)))
    grams = count_grams(captions)
    found = cider_of_some(grams, hypothesis, other, owner, 2, chosen)
    for mask, scores in zip(chosen, found, strict=True):
        assert scores.tolist() == cider(grams, hypothesis[mask], other[mask], owner[mask], 2).tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**62) | st.integers(0, 3)))
def test_distinct_numbers(numbers: list[int]) -> None:
    for found, expected in zip(find_distinct(np.array(numbers, dtype=np.int64)),
                               np.unique(np.array(numbers, dtype=np.int64), return_inverse=True), strict=True):
        assert found.tolist() == expected.tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**40) | st.integers(0, 3)), st.booleans())
def test_sorting_keeps_the_order_of_ties(numbers: list[int], wide: bool) -> None:
    """With numbers of so many bits that a position does not fit beside them, too."""
    given = np.array([*numbers, *([2**62] if wide else [])], dtype=np.int64)
    ordered, place = sort_stably(given)
    assert place.tolist() == np.argsort(given, kind="stable").tolist() and ordered.tolist() == given[place].tolist()
