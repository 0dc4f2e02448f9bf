"""Which candidates a window keeps: the best k, the best one, or all above a threshold.

M windows, C candidates per window, K kept.  Lists of unequal length are padded with -1 at the end.
"""

import numpy as np

NEVER = np.float32(-np.inf)  # the score of what may not be recalled


def select(candidates: np.ndarray, scores: np.ndarray, rule: str, k: int,
           threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Kept ids int32 [M, K], -1 padded, and their scores float32 [M, K] (0 where padded), best first.

    ``candidates`` int [M, C] in candidate order, -1 padded anywhere; ``scores`` [M, n] of all n ids.  Equal scores
    keep the candidate order; candidates of score -inf are never kept.  rule: "top-k" (all if fewer), "max" (one),
    "similarity" (score >= threshold).
    """
    return select_listed(candidates, listed_scores(candidates, scores), rule, k, threshold)


def listed_scores(candidates: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of the scores [M, n] of all n ids those of the candidates [M, C]; -inf where padded."""
    listed = np.take_along_axis(scores, np.maximum(candidates, 0), axis=1)
    return np.where(candidates < 0, NEVER, listed)


def select_listed(candidates: np.ndarray, listed: np.ndarray, rule: str, k: int,
                  threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """`select` where only the candidates have scores: float32 [M, C], -inf where padded."""
    if rule == "similarity":
        listed = np.where(listed >= threshold, listed, NEVER)
        k = int((listed > NEVER).sum(axis=1).max(initial=0))
    elif rule == "max":
        k = 1
    best = _best(listed, k)
    kept_scores = np.take_along_axis(listed, best, axis=1)
    kept = np.where(kept_scores > NEVER, np.take_along_axis(candidates, best, axis=1), -1)
    longest = int((kept >= 0).sum(axis=1).max(initial=0))
    return (kept[:, :longest].astype(np.int32),
            np.where(kept >= 0, kept_scores, 0)[:, :longest].astype(np.float32))


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Positions [M, min(k, C)] of the largest scores, descending; equal ones by position (a stable sort)."""
    count = scores.shape[1]
    if k == 0:
        return np.zeros((len(scores), 0), np.int64)
    if k >= count:
        return np.argsort(-scores, axis=1, kind="stable")
    kth = np.partition(scores, count - k, axis=1)[:, count - k, None]
    rows, positions = np.nonzero(scores >= np.maximum(kth, np.finfo(scores.dtype).min))  # not -inf, which may be all
    positions = positions[np.lexsort((-scores[rows, positions], rows))]  # stable
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    best = np.zeros((len(scores), k), np.int64)
    if (kth == NEVER).any():  # where fewer than k may be kept, a position of -inf fills up
        best[:] = scores.argmin(axis=1)[:, None]
    best[rows[place < k], place[place < k]] = positions[place < k]
    return best
