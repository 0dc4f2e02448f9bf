"""ROUGE-L of pairs of captions (Lin, 2004) with the recall weight of coco-caption."""

from collections.abc import Iterable, Sequence

import numpy as np

BETA = 1.2


def rouge_l(captions: Sequence[str], pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """F of the longest common subsequence for (hypothesis, reference) ids into ``captions``, (P,) float64.

    Tokens are split at the blank only, so an empty caption is one empty token.

    >>> rouge_l(["stir the pot", "stir a pot", ""], [(0, 1), (0, 2), (2, 2)]).round(6).tolist()
    [0.666667, 0.0, 1.0]
    """
    tokens = [caption.split(" ") for caption in captions]
    return np.array([_f_score(tokens[hypothesis], tokens[reference]) for hypothesis, reference in pairs], dtype=float)


def _f_score(hypothesis: list[str], reference: list[str]) -> float:
    common = longest_common(hypothesis, reference)
    if not common:
        return 0.0
    precision, recall = common / len(hypothesis), common / len(reference)
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, by bit-parallel rows (Hyyrö, 2004): a clear bit is a step up."""
    places: dict[str, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        match = row & places.get(token, 0)
        if match:
            row = ((row + match) | (row - match)) & full
    return len(first) - row.bit_count()
