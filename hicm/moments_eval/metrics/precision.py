"""Average precision of the windows of a query: greedy matching, area under the interpolated curve.

As in the detection challenges of PASCAL VOC (from 2010 on) and ActivityNet, per query.  Q queries, P predicted windows
each, best score first, G true windows, T thresholds.
"""

import numpy as np

from hicm.moments_eval.inputs.windows import Padded, blocks
from hicm.moments_eval.metrics.overlaps import cross_iou


def average_precision(predicted: Padded, true: Padded, thresholds: np.ndarray) -> np.ndarray:
    """Average precision (Q, T) of the predicted windows (best first) at each IoU; 0 for a query without either."""
    found = np.zeros((len(true.counts), len(thresholds)))
    most = int(predicted.counts.max(initial=0))
    for chosen in blocks(np.where(predicted.counts > 0, true.counts, 0), most * len(thresholds)):
        one, two = predicted.of(chosen), true.of(chosen)
        overlap = np.where(one.real[:, :, None] & two.real[:, None, :], cross_iou(one.rows, two.rows), -1.0)
        found[chosen] = interpolated_area(match(overlap, thresholds) >= 0, two.counts)
    return found


def match(overlap: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The true window that each prediction takes at each threshold (Q, P, T), or -1, from their IoU (Q, P, G).

    One after the other, each takes the true window that it overlaps most among those not taken yet, if their IoU is not
    below the threshold; of equal ones the later.
    """
    queries, predictions, windows = overlap.shape
    found = np.full((queries, predictions, len(thresholds)), -1)
    free = np.ones((queries, len(thresholds), windows), dtype=bool)
    for place in range(predictions):
        left = np.where(free, overlap[:, place, None, :], -1.0)
        best = windows - 1 - left[..., ::-1].argmax(axis=2)
        value = np.take_along_axis(left, best[..., None], axis=2)[..., 0]
        found[:, place] = np.where(value >= thresholds, best, -1)
        free &= np.arange(windows) != found[:, place, :, None]
    return found


def interpolated_area(hits: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Area (Q, T) under the interpolated precision-recall curve of ``hits`` (Q, P, T), best prediction first.

    ``positives`` (Q,): numbers of true windows.  Precision is the largest at the same or a higher recall.
    """
    ranks = np.arange(1, hits.shape[1] + 1)[None, :, None]
    true_positives = hits.cumsum(axis=1)
    precision = np.maximum.accumulate((true_positives / ranks)[:, ::-1], axis=1)[:, ::-1]
    recall = true_positives / positives[:, None, None]
    step = np.diff(recall, axis=1, prepend=0.0)
    return (step * precision).sum(axis=1)
