"""Moments without a trained model: stretches of a video whose frames are nearest to a sentence.  A plain baseline.

Frames and sentence are embedded by the two sides of one encoder such as CLIP's.  Nothing is learnt: where the cosine,
smoothed over neighbouring rows, is nearer to the video's best than to its mean, there is a moment.
"""

import numpy as np

SMOOTH = 5  # rows that are averaged
SHARE = 0.5  # of the way from the mean of a video to its best row, from which a row counts


def cosine_windows(rows: np.ndarray, sentence: np.ndarray, step: float, duration: float) -> np.ndarray:
    """Windows (n, 3) float64, the best first: start and end in seconds, and the mean cosine of the rows between.

    ``rows`` [T, D], T >= 1, one per ``step`` seconds of a video of ``duration`` seconds; ``sentence`` [D].
    """
    cosines = _unit(rows) @ _unit(sentence[None])[0]
    smooth = _smoothed(cosines, SMOOTH)
    least = smooth.mean() + SHARE * (smooth.max() - smooth.mean())
    edges = np.flatnonzero(np.diff(np.concatenate([[False], smooth >= least - 1e-9, [False]])))  # rounding aside
    found = np.array([[first * step, min(end * step, duration), cosines[first:end].mean()]
                      for first, end in edges.reshape(-1, 2)])
    return found[np.argsort(-found[:, 2], kind="stable")]


def mean_cosines(rows: np.ndarray, sentence: np.ndarray, step: float, windows: np.ndarray) -> np.ndarray:
    """The mean cosine of ``sentence`` [D] with the rows [T, D] of each window (n, >= 2) in seconds: float64 (n,).

    A row lasts ``step`` seconds; a window shorter than a row has the one in which it starts.
    """
    cosines = _unit(rows) @ _unit(sentence[None])[0]
    first = np.clip((windows[:, 0] / step).astype(int), 0, len(rows) - 1)
    end = np.maximum(np.ceil(windows[:, 1] / step).astype(int), first + 1)
    return np.array([cosines[start:stop].mean() for start, stop in zip(first, end, strict=True)])


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8)


def _smoothed(values: np.ndarray, count: int) -> np.ndarray:
    """Each value's mean with its neighbours, ``count`` values in all where there are as many."""
    ones = np.ones(min(count, len(values)))
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")
