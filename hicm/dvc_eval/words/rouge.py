"""ROUGE-L of pairs of captions (Lin, 2004), with the weight of recall from coco-caption."""

from collections.abc import Sequence

import numpy as np

from hicm.dvc_eval.words.numbering import Numbering

BETA = 1.2
BLOCK = 4096  # pairs at a time
WORD = 63  # tokens of a caption whose row of bits fits into one integer


def rouge_l(captions: Sequence[str], hypothesis: np.ndarray, references: np.ndarray,
            empty: str = "match") -> np.ndarray:
    """F of the longest common subsequence, (P,), from ids of captions (P,) and (P, A), -1 where there is no reference.

    Tokens are split at blanks only, so an empty caption is one empty token, and two of them ``match``; with ``empty``
    "zero" they score 0.  With several references, precision and recall are each the best over them.

    >>> ids = np.array([[0, 0, 2], [1, 2, 2]])
    >>> rouge_l(["stir the pot", "stir a pot", ""], ids[0], ids[1][:, None]).round(6).tolist()
    [0.666667, 0.0, 1.0]
    """
    tokens = [caption.split(" ") for caption in captions]
    length = np.array([len(caption) for caption in tokens], dtype=np.int64)
    wordless = np.array([not caption for caption in captions], dtype=bool) & (empty == "zero")
    precision = recall = np.zeros(len(hypothesis))
    for column in references.T:
        used = np.flatnonzero((column >= 0) & ~wordless[hypothesis])
        one, two = hypothesis[used], column[used]
        common = np.zeros(len(hypothesis))
        common[used] = common_lengths(tokens, one, two)
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
    """Length of the longest common subsequence, (P,), of lists ``first`` (P,) and ``second`` (P,) of ``tokens``.

    Bit-parallel rows (Hyyrö, 2004): a clear bit is a step up.  Many pairs at a time, with one integer per pair; longer
    lists one by one.
    """
    length = np.fromiter(map(len, tokens), np.int64, len(tokens))
    number = Numbering().number(tokens, int(length.sum()))
    start = np.cumsum(length) - length
    found = np.zeros(len(first), dtype=np.int64)
    small = (length[first] <= WORD) & (length[second] <= WORD)
    for pair in np.flatnonzero(~small).tolist():
        found[pair] = longest_common(tokens[first[pair]], tokens[second[pair]])
    if not small.any():
        return found
    # Pairs of similar length together, so that few rows are wider than needed.
    longest = np.maximum(length[first], length[second])
    pairs = np.flatnonzero(small)
    pairs = pairs[np.argsort(longest[pairs], kind="stable")]
    for block in np.array_split(pairs, -(-len(pairs) // BLOCK)):
        width = int(longest[block[-1]])
        one, two = (_table(number, start[side[block]], length[side[block]], width) for side in (first, second))
        found[block] = _common_of_short(one, two, length[first[block]])
    return found


def _table(number: np.ndarray, start: np.ndarray, length: np.ndarray, width: int) -> np.ndarray:
    """Lists, each ``number[start:start + length]``, as rows (P, width), -1 behind their ends."""
    place = np.arange(width)
    inside = place < length[:, None]
    return np.where(inside, number[np.where(inside, start[:, None] + place, 0)], -1)


def _common_of_short(first: np.ndarray, second: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The same for rows of word numbers (P, width), -1 behind their ends; ``length`` (P,) is that of the first."""
    bit = np.uint64(1) << np.arange(first.shape[1], dtype=np.uint64)
    full = (np.uint64(1) << length.astype(np.uint64)) - np.uint64(1)
    row = full.copy()
    for column in second.T:
        place = ((first == column[:, None]) & (column >= 0)[:, None]) @ bit
        match = row & place
        row = ((row + match) | (row - match)) & full
    return length - np.bitwise_count(row)


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
