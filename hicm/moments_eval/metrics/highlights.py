"""Highlight detection: how well scores of clips rank those that annotators find relevant.

As Moment-DETR evaluates QVHighlights (Lei et al., NeurIPS 2021).  Q queries, C clips at most, A annotators.
"""

import numpy as np


def rank_quality(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average precision (Q, ...) of clips ranked by ``scores`` (Q, C), for binary ``labels`` (Q, C, ...).

    ``counts`` (Q,): how many clips each query has.  The mean, over the distinct scores at which a positive clip is met,
    of the largest precision there or further down; clips of equal score are met together.  0 without positive clips, 1
    if all are positive.
    """
    queries, clips = scores.shape
    real = np.arange(clips) < counts[:, None]
    order = np.argsort(np.where(real, -scores, np.inf), axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    # Where the last clip of a score stands: precision and recall are read there.
    last = np.ones((queries, clips), dtype=bool)
    last[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    last |= np.arange(clips) == counts[:, None] - 1
    last &= real
    # Clips come last, (Q, K, C): sums along the last axis are fastest.
    rows = (np.arange(queries)[:, None] * clips + order).ravel()
    positive = labels.reshape(queries * clips, -1)[rows].reshape(queries, clips, -1).transpose(0, 2, 1) & real[:, None]
    found = positive.cumsum(axis=2, dtype=np.int32)
    precision = np.where(last[:, None], found / np.arange(1, clips + 1), 0.0)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
    at_last = np.maximum.accumulate(np.where(last[:, None], found, 0), axis=2)
    gained = last[:, None] & (np.diff(at_last, axis=2, prepend=0) > 0)
    points = gained.sum(axis=2)
    areas = np.where(gained, envelope, 0.0).sum(axis=2)
    return np.divide(areas, points, out=np.zeros(points.shape), where=points > 0).reshape(queries, *labels.shape[2:])


def first_hits(best: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Whether (Q, ...) the clip with the highest score, its index ``best`` (Q,), is positive in ``labels`` (Q, C, ...).

    An index beyond a query's ``counts`` (Q,) is no hit.
    """
    inside = best < counts
    chosen = labels[np.arange(len(best)), np.where(inside, best, 0)]
    return np.logical_and(chosen, inside[(slice(None), *[None] * (chosen.ndim - 1))])
