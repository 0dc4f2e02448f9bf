"""SODA: one-to-one matching of predictions and references in temporal order.

Fujita et al., "SODA: Story Oriented Dense Video Captioning Evaluation Framework", ECCV 2020.  Rows are references,
columns predictions, both sorted by start.  There are four types:

    type  matrix that is matched        what is summed
    a     IoU, entries below t are 0    METEOR of the chosen pairs (one score per t)
    b     IoU                           METEOR of the chosen pairs
    c     IoU x METEOR                  the matrix
    d     IoU                           the matrix
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from hicm.dvc_eval.inputs.arrays import slices
from hicm.evaluation.measures import divide, harmonic_mean

UP, LEFT, TAKE = 0, 1, 2
ENTRIES = 1 << 16  # of a matrix, taken at a time


def best_sums(video: np.ndarray, row: np.ndarray, column: np.ndarray, value: np.ndarray, videos: int) -> np.ndarray:
    """Largest sum over monotone one-to-one matchings in each video, (videos,), from the entries > 0, (K,) each.

    >>> best_sums(np.array([0, 0]), np.array([0, 1]), np.array([1, 0]), np.array([0.695, 0.588]), 1).tolist()
    [0.695]
    """
    ends = np.cumsum([0, *np.bincount(video, minlength=videos)]).tolist()
    order = np.lexsort((-column, row, video))
    return np.array([_best_sum(_entries(column, value, order[first:end])) if first < end else 0.0
                     for first, end in pairwise(ends)])


def _entries(column: np.ndarray, value: np.ndarray, order: np.ndarray) -> Iterator[tuple[int, float]]:
    """The same pairs as numbers of Python, which need several times the memory: some at a time."""
    for block in slices(len(order), ENTRIES):
        yield from zip(column[order[block]].tolist(), value[order[block]].tolist(), strict=True)


def _best_sum(entries: Iterable[tuple[int, float]]) -> float:
    """D[i, j] = max(D[i-1, j], D[i, j-1], D[i-1, j-1] + A[i, j]), computed from the entries (column, value) only.

    They come row by row, from the last column to the first, so that no two of one row are added.  ``places`` are the
    columns at which the best sum so far rises.
    """
    places, sums = [-1], [0.0]
    for column, value in entries:
        at = bisect_left(places, column)
        total = sums[at - 1] + value
        end = at
        while end < len(places) and sums[end] <= total:
            end += 1
        if end > at or ((at == len(places) or places[at] != column) and total > sums[at - 1]):
            places[at:end] = [column]
            sums[at:end] = [total]
    return sums[-1]


def chosen_pairs(matrix: np.ndarray, traceback: str = "shipped") -> list[tuple[int, int]]:
    """Pairs (row, column) that types a and b sum over, for a matrix (n, m) >= 0; none if it is empty.

    ``shipped``: the traceback of the published toolkit: in the last row, the first cell from the right whose best
    choice is to take the pair, whatever lies between; then the same left of it and above.  This is not always the best
    matching, and always has at least one pair.  ``optimal``: along the stored choices, without pairs of value 0.

    >>> chosen_pairs(np.array([[0.0, 0.695], [0.588, 0.0]]))
    [(1, 0)]
    >>> chosen_pairs(np.array([[0.0, 0.695], [0.588, 0.0]]), "optimal")
    [(0, 1)]
    """
    choice = _choices(matrix)
    row, column = matrix.shape[0] - 1, matrix.shape[1] - 1
    pairs = []
    while row >= 0 and column >= 0:
        if traceback == "shipped":
            taken = np.flatnonzero(choice[row, :column + 1] == TAKE)
            if len(taken):
                column = int(taken[-1])
                pairs.append((row, column))
                column -= 1
            row -= 1
        elif choice[row, column] == TAKE:
            if matrix[row, column] > 0:
                pairs.append((row, column))
            row, column = row - 1, column - 1
        elif choice[row, column] == UP:
            row -= 1
        else:
            column -= 1
    return pairs[::-1]


def _choices(matrix: np.ndarray) -> np.ndarray:
    """Which of UP, LEFT, TAKE gives each cell its value, on a tie the first; the border counts as -1."""
    rows, columns = matrix.shape
    choice = np.empty((rows, columns), dtype=np.int8)
    above = np.full(columns, -1.0)
    for i in range(rows):
        diagonal = np.concatenate([[0.0], above[:-1]]) if i else np.zeros(columns)
        take = diagonal + matrix[i]
        value = np.maximum.accumulate(np.maximum(above, take))
        left = np.concatenate([[-1.0], value[:-1]])
        choice[i] = np.where((above >= left) & (above >= take), UP, np.where(left >= take, LEFT, TAKE))
        above = value
    return choice


def triples(sums: np.ndarray, predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Precision, recall and F, (V, 3), from sums of pair scores (V,) and counts of events (V,); 0 for an empty side."""
    precision, recall = divide(sums, predictions), divide(sums, references)
    return np.stack([precision, recall, harmonic_mean(precision, recall)], axis=1)
