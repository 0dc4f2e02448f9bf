"""ROUGE-L of pairs of captions (Lin, 2004), with the weight of recall from coco-caption."""

from collections.abc import Sequence

import numpy as np

from hicm.dvc_eval.inputs.arrays import blocks_of
from hicm.dvc_eval.words.numbering import Numbering

BETA = 1.2
CELLS = 1 << 21  # pairs of tokens that are compared at a time
WORD = 63  # tokens of a list whose row of bits fits into one integer


def rouge_l(captions: Sequence[str], hypothesis: np.ndarray, references: np.ndarray,
            empty: str = "match") -> np.ndarray:
    """F of the longest common subsequence, (P,), from ids of captions (P,) and (P, A), -1 where there is no reference.

    Tokens are split at blanks only, so an empty caption is one empty token, and two of them ``match``; with ``empty``
    "zero" they score 0.  With several references, precision and recall are each the best over them.

    >>> ids = np.array([[0, 0, 2], [1, 2, 2]])
    >>> rouge_l(["stir the pot", "stir a pot", ""], ids[0], ids[1][:, None]).round(6).tolist()
    [0.666667, 0.0, 1.0]
    """
    numbers, length = Numbering().number(caption.split(" ") for caption in captions)
    wordless = np.array([not caption for caption in captions], dtype=bool) & (empty == "zero")
    precision = recall = np.zeros(len(hypothesis))
    for column in references.T:
        used = np.flatnonzero((column >= 0) & ~wordless[hypothesis])
        one, two = hypothesis[used], column[used]
        common = np.zeros(len(hypothesis))
        common[used] = _common_lengths(numbers, length, one, two)
        found = np.zeros((2, len(hypothesis)))
        found[:, used] = common[used] / length[one], common[used] / length[two]
        precision, recall = np.maximum(precision, found[0]), np.maximum(recall, found[1])
    return f_score(precision, recall, BETA)


def f_score(precision: np.ndarray, recall: np.ndarray, beta: float) -> np.ndarray:
    """F with recall weighted ``beta`` times as much as precision; 0 where either is 0."""
    both = (precision > 0) & (recall > 0)
    weighted = recall + beta**2 * precision
    return np.divide((1 + beta**2) * precision * recall, weighted, out=np.zeros(len(both)), where=both)


def common_lengths(tokens: Sequence[Sequence[str]], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Length of the longest common subsequence, (P,), of lists ``first`` (P,) and ``second`` (P,) of ``tokens``."""
    return _common_lengths(*Numbering().number(tokens), first, second)


def _common_lengths(numbers: np.ndarray, length: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The same for lists of ``length`` (L,), one after the other in ``numbers``.

    Bit-parallel rows (Hyyrö, 2004): a clear bit is a step up.  Many pairs at a time, with one integer per pair; longer
    lists one by one.
    """
    start = np.cumsum(length) - length
    found = np.zeros(len(first), dtype=np.int64)
    longest = np.maximum(length[first], length[second])
    for pair in np.flatnonzero(longest > WORD).tolist():
        one, two = (numbers[start[side[pair]]:][:length[side[pair]]].tolist() for side in (first, second))
        found[pair] = longest_common(one, two)
    # Pairs of similar length together, so that few rows are wider than needed.
    pairs = np.flatnonzero(longest <= WORD)
    pairs = pairs[np.argsort(longest[pairs], kind="stable")]
    for block in blocks_of(longest[pairs]**2, CELLS):
        own = pairs[block]
        width = int(longest[own[-1]])
        one, two = (_table(numbers, start[side[own]], length[side[own]], width, end)
                    for side, end in ((first, -1), (second, -2)))
        found[own] = _common_of_short(one, two, length[first[own]])
    return found


def _table(numbers: np.ndarray, start: np.ndarray, length: np.ndarray, width: int, end: int) -> np.ndarray:
    """Lists, each ``numbers[start:start + length]``, as int32 rows (P, width), with ``end`` behind their ends."""
    place = np.arange(width)
    inside = place < length[:, None]
    return np.where(inside, numbers[np.where(inside, start[:, None] + place, 0)], end).astype(np.int32)


def _common_of_short(first: np.ndarray, second: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The same for rows of word numbers (P, width); ``length`` (P,) is that of the first."""
    full = (np.uint64(1) << length.astype(np.uint64)) - np.uint64(1)
    row = full.copy()
    for place in _places(first, second):
        match = row & place
        row = ((row + match) | (row - match)) & full
    return length - np.bitwise_count(row)


def _places(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where each token of ``second`` (P, n) is in ``first`` (P, m), m <= 64: (n, P) uint64, one bit per place."""
    equal = np.packbits(second[:, :, None] == first[:, None], axis=2, bitorder="little")
    bits = np.zeros((*second.shape, 8), np.uint8)
    bits[..., :equal.shape[2]] = equal
    return np.ascontiguousarray(bits.view("<u8")[..., 0].T.astype(np.uint64))


def longest_common(first: Sequence[object], second: Sequence[object]) -> int:
    """Length of the longest common subsequence of two lists of any length."""
    places: dict[object, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        match = row & places.get(token, 0)
        if match:
            row = ((row + match) | (row - match)) & full
    return len(first) - row.bit_count()
