"""Overlap of intervals.  Spans are (n, 2) float64 arrays of start and end in seconds; no order is enforced."""

import numpy as np


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Temporal intersection over union, (n, 2) and (m, 2) -> (n, m) float64.

    The operations run in the toolkits' order, ``second``'s length before ``first``'s end and start: captions and
    localisation put predictions first, SODA references.  The 1e-8 in the denominator keeps an exact tie below its
    threshold; reversed spans give whatever the formula gives.

    >>> iou(np.array([[0.0, 10.0]]), np.array([[0.0, 5.0], [20.0, 30.0]])).round(6).tolist()
    [[0.5, 0.0]]
    """
    start, end = first[:, :1], first[:, 1:]
    other_start, other_end = second[:, 0], second[:, 1]
    union = (other_end - other_start) + end
    union -= start
    np.minimum(union, np.maximum(end, other_end) - np.minimum(start, other_start), out=union)
    union += 1e-8
    shared = np.minimum(end, other_end)
    shared -= np.maximum(start, other_start)
    np.maximum(shared, 0.0, out=shared)
    shared /= union
    return shared


def start_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Absolute difference of the starts in seconds, (n, 2) and (m, 2) -> (n, m)."""
    return np.abs(first[:, :1] - second[:, 0])
