"""Precision and recall of event spans, captions ignored: by temporal IoU and by seconds between starts.

A prediction is covered when it meets at least one event, an event when at least one prediction meets it; nothing is
matched one to one, so repeating a correct event neither helps nor hurts.
"""

import numpy as np

from hicm.dvc_eval.spans import iou, start_distance


def precision_recall(predicted: np.ndarray, annotators: list[np.ndarray], tious: tuple[float, ...],
                     distances: tuple[float, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of one video, each (len(tious) + len(distances),).

    ``predicted`` (n, 2) and each of ``annotators`` (m, 2), m >= 1, are spans in seconds.  A pair counts when its IoU
    is above a threshold, or its starts differ by less than a distance.  With several annotators each number is the
    best over them, precision and recall separately.
    """
    best = np.zeros((2, len(tious) + len(distances)))
    if not len(predicted):
        return best[0], best[1]
    for reference in annotators:
        overlap = iou(predicted, reference)
        met = [(overlap.max(axis=axis)[:, None] > np.asarray(tious)).mean(axis=0) for axis in (1, 0)]
        if distances:
            apart = start_distance(predicted, reference)
            near = [(apart.min(axis=axis)[:, None] < np.asarray(distances)).mean(axis=0) for axis in (1, 0)]
            met = [np.concatenate(both) for both in zip(met, near, strict=True)]
        best = np.maximum(best, met)
    return best[0], best[1]


def harmonic_mean(precision: np.ndarray | float, recall: np.ndarray | float) -> np.ndarray:
    """F1 = 2PR/(P+R), 0 where both are 0."""
    total = np.asarray(precision + recall, dtype=float)
    return np.divide(2.0 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
