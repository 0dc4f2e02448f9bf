"""Overlap of spans: (.., 2) float64 arrays of start and end in seconds, in any order."""

import numpy as np


def pair_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Temporal intersection over union, (..) float64, of spans (.., 2) and (.., 2), which are broadcast.

    Operations are in the toolkits' order, the length of ``second`` before end and start of ``first``: captions and
    localisation put predictions first, SODA references.  The 1e-8 in the denominator keeps an exact tie below its
    threshold; reversed spans give whatever the formula gives.
    """
    start, end = first[..., 0], first[..., 1]
    other_start, other_end = second[..., 0], second[..., 1]
    shared = np.maximum(np.minimum(end, other_end) - np.maximum(start, other_start), 0.0)
    union = np.minimum(np.maximum(end, other_end) - np.minimum(start, other_start),
                       ((other_end - other_start) + end) - start)
    return shared / (union + 1e-8)
