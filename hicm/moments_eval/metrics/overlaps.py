"""IoU of windows, in the two ways in which the toolkits compute it; they differ in the last digit only."""

import numpy as np

from hicm.moments.postprocess import hull_overlap

__all__ = ["best_overlaps", "cross_iou", "hull_overlap"]


def cross_iou(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """IoU (..., P, G) of windows (..., P, 2) and (..., G, 2), by the lengths of both; 0 where neither has a length.

    Reversed and empty windows overlap nothing that has a length.

    >>> cross_iou(np.array([[0.0, 0.2], [0.5, 1.0]]), np.array([[0.0, 0.3], [0.0, 1.0]])).round(4).tolist()
    [[0.6667, 0.2], [0.0, 0.5]]
    """
    start, end = predicted[..., :, None, 0], predicted[..., :, None, 1]
    true_start, true_end = true[..., None, :, 0], true[..., None, :, 1]
    shared = np.maximum(np.minimum(end, true_end) - np.maximum(start, true_start), 0.0)
    union = (end - start) + (true_end - true_start) - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=(union != 0) & (shared > 0))


def best_overlaps(first: np.ndarray, true: np.ndarray, real: np.ndarray) -> np.ndarray:
    """IoU (Q,) of one window (Q, 2) of each query with the true one that it overlaps most.

    ``true`` (Q, G, 2), of which those in the mask ``real`` (Q, G) count.  The true window is found by `cross_iou`, and
    the value is `hull_overlap` with it, as R1 is computed everywhere.
    """
    overlap = np.where(real, cross_iou(first[:, None], true)[:, 0], -1.0)
    best = overlap.argmax(axis=1)
    return hull_overlap(first, true[np.arange(len(first)), best])
