"""SODA: one-to-one matching of predictions and references in temporal order.

Fujita et al., "SODA: Story Oriented Dense Video Captioning Evaluation Framework", ECCV 2020.  Rows are references,
columns predictions.  Four types:

    type  matrix that is matched        what is summed
    a     IoU, entries below t are 0    METEOR of the chosen pairs (a score per t)
    b     IoU                           METEOR of the chosen pairs
    c     IoU x METEOR                  the matrix
    d     IoU                           the matrix
"""

from collections.abc import Callable, Iterable

import numpy as np

from hicm.dvc_eval.localisation import harmonic_mean

# METEOR of pairs given as rows (references) and columns (predictions); the caller decides who is METEOR's hypothesis.
PairScores = Callable[[np.ndarray, np.ndarray], np.ndarray]

UP, LEFT, TAKE = 0, 1, 2


def by_start(spans: np.ndarray) -> np.ndarray:
    """Indices that sort spans (n, 2) by start; ties keep their order."""
    return np.argsort(spans[:, 0], kind="stable")


def best_sum(rows: Iterable[np.ndarray], columns: int) -> float:
    """Largest sum over monotone one-to-one matchings of a non-negative matrix, given row by row.

    D[i, j] = max(D[i-1, j], D[i, j-1], D[i-1, j-1] + A[i, j]).

    >>> best_sum(np.array([[0.0, 0.695], [0.588, 0.0]]), 2)
    0.695
    """
    last = np.zeros(columns + 1)  # column 0 is outside the matrix
    for row in rows:
        last[1:] = np.maximum.accumulate(np.maximum(last[1:], last[:-1] + row))
    return float(last[-1])


def chosen_pairs(matrix: np.ndarray, traceback: str = "shipped") -> list[tuple[int, int]]:
    """Pairs (row, column) that types a and b sum over, for a non-empty matrix (n, m) >= 0.

    ``shipped``: as the published toolkit walks: in the last row, the first cell from the right whose best choice is
    to take the pair, whatever lies between; then the same left of and above it.  This is not always the best
    matching, and always holds at least one pair.  ``optimal``: along the stored choices, without pairs of value 0.

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
    """Which of UP, LEFT, TAKE gives each cell its value; the first of equals wins, the border offers -1."""
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


def scores(total: float, predictions: int, references: int) -> tuple[float, float, float]:
    """Precision, recall and F of one video from its summed pair scores; 0 for an empty side."""
    precision = total / predictions if predictions else 0.0
    recall = total / references if references else 0.0
    return precision, recall, float(harmonic_mean(precision, recall))


def soda(kind: str, overlap: np.ndarray, meteor: PairScores | None = None, tiou: float = 0.0,
         traceback: str = "shipped") -> tuple[float, float, float]:
    """SODA of one video: (precision, recall, F), for ``kind`` a, b, c or d.

    ``overlap``: IoU (references, predictions), both sorted by start; ``meteor`` scores pairs (not needed for d) and
    is asked only for those that can matter; ``tiou`` is the threshold of type a.
    """
    references, predictions = overlap.shape
    if not overlap.size:
        return scores(0.0, predictions, references)
    if kind == "d":
        return scores(best_sum(overlap, predictions), predictions, references)
    if meteor is None:
        raise ValueError(f"SODA type {kind} needs METEOR's pair scores")
    if kind == "c":
        matrix = np.zeros_like(overlap)
        at = np.nonzero(overlap > 0)
        matrix[at] = overlap[at] * meteor(*at)
        return scores(best_sum(matrix, predictions), predictions, references)
    matched = np.where(overlap < tiou, 0.0, overlap) if kind == "a" else overlap
    pairs = np.array(chosen_pairs(matched, traceback), dtype=np.int64).reshape(-1, 2)
    return scores(float(meteor(*pairs.T).sum()), predictions, references)
