"""Several kinds of features of one video on one clock: resampled, normalised, cut to the shortest, side by side.

As in Moment-DETR (Lei et al., NeurIPS 2021) and those that followed; arrays are float32 [T, D], a row per step.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

NEAR = 1e-5  # the least norm that a row is divided by
ROUNDING = 1e-9  # of a row: rates are rounded numbers, and a middle that lies on an edge belongs to the later row


def normalise_rows(x: np.ndarray) -> np.ndarray:
    """Every row divided by its L2 norm; zero rows stay zero."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), NEAR)


def join_streams(streams: Sequence[np.ndarray]) -> np.ndarray:
    """Streams of one video side by side, in that order, each normalised; rows beyond the shortest are cut off."""
    shortest = min(map(len, streams))
    return np.concatenate([normalise_rows(x[:shortest]) for x in streams], 1, dtype=np.float32)


def resample_rows(x: np.ndarray, per_row: float) -> np.ndarray:
    """x [T, D] on a clock of which a row lasts as long as ``per_row`` (> 0) rows of x: at least one row.

    Each new row is the mean of the rows whose middles lie in it; where rows of x last longer, it is the one in which
    its own middle lies.
    """
    if per_row < 1:
        count = max(1, math.ceil(len(x) / per_row - 0.5 - ROUNDING))
        places = np.floor((np.arange(count) + 0.5) * per_row + ROUNDING).astype(np.int64)
        return x[np.minimum(places, len(x) - 1)]
    places = np.floor((np.arange(len(x)) + 0.5) / per_row + ROUNDING).astype(np.int64)
    starts = np.searchsorted(places, np.arange(places[-1] + 1))
    counts = np.diff(np.append(starts, len(x))).clip(min=1)[:, None]
    return (np.add.reduceat(x, starts, axis=0, dtype=np.float64) / counts).astype(np.float32)


def pool_rows(x: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` rows: means over bins of nearly equal size, as 2D-TAN (Zhang et al., AAAI 2020) makes them.

    Bin i reaches from round(i T / most) to round((i + 1) T / most), both at most T - 1, so that the last row is left
    out; an empty bin takes the row at its start.  Rounded half to even, in float32.
    """
    if len(x) <= most:
        return x
    edges = np.arange(most + 1, dtype=np.float32) / np.float32(most) * np.float32(len(x))
    bins = np.minimum(np.rint(edges).astype(np.int64), len(x) - 1)
    return np.stack([x[start:max(start + 1, end)].mean(0) for start, end in itertools.pairwise(bins)])


def with_endpoints(x: np.ndarray) -> np.ndarray:
    """x [T, D] with two columns more: where each row starts and ends, as shares of the video."""
    steps = np.arange(len(x) + 1, dtype=np.float32) / len(x)
    return np.concatenate([x, steps[:-1, None], steps[1:, None]], 1, dtype=np.float32)
