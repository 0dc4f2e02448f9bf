"""Metrics as sums over videos: the basis of corpus scores, per-video tables, intervals and tests.

Each video contributes a row of statistics; the score of any set of videos is a pure function of the sum of their
rows.  So a bootstrap sample is a weighted sum, and nothing is scored twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Finish = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Measure:
    """One metric: ``statistics`` (V, K) float64, one row per video, and ``finish``: sums (..., K) -> scores (...).

    A video that a rule or an annotator leaves out has a row of zeros.  ``additive``: whether rows stay the same when
    videos are added (not if an idf is counted over all videos).
    """

    name: str
    statistics: np.ndarray
    finish: Finish
    additive: bool = True

    def score(self) -> float:
        """The score of all videos together."""
        return float(self.finish(self.statistics.sum(axis=0)))

    def by_video(self) -> np.ndarray:
        """The score of each video alone, (V,)."""
        return self.finish(self.statistics)


def divide(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``sums / counts``, 0 where the count is 0."""
    sums, counts = np.broadcast_arrays(sums, counts)
    return np.divide(sums, counts, out=np.zeros(sums.shape), where=counts > 0)


def mean_measure(name: str, values: np.ndarray, counts: np.ndarray | None = None, additive: bool = True) -> Measure:
    """Sum of ``values`` (V, T) over sum of ``counts`` (V, T), averaged over columns; ``counts`` None: 1 per video."""
    counts = np.ones(values.shape) if counts is None else counts
    return Measure(name, np.concatenate([values, counts], axis=1), mean_of_means, additive)


def f1_measure(name: str, precision: np.ndarray, recall: np.ndarray, of_means: bool) -> Measure:
    """F1 of mean precision and mean recall (V, T).

    Of each column and then averaged or, with ``of_means``, of the means over columns.
    """
    rows = np.concatenate([precision, recall, np.ones((len(precision), 1))], axis=1)
    return Measure(name, rows, f1_of_means if of_means else mean_of_f1s)


def mean_of_f1s(sums: np.ndarray) -> np.ndarray:
    """The mean of T F1s, from sums (..., 2 T + 1): precision and recall of T columns, and the number of videos."""
    return harmonic_mean(*_precision_recall(sums)).mean(axis=-1)


def f1_of_means(sums: np.ndarray) -> np.ndarray:
    """The F1 of precision and recall averaged over columns, from the same sums (..., 2 T + 1)."""
    precision, recall = _precision_recall(sums)
    return harmonic_mean(precision.mean(axis=-1), recall.mean(axis=-1))


def _precision_recall(sums: np.ndarray) -> list[np.ndarray]:
    return np.split(divide(sums[..., :-1], sums[..., -1:]), 2, axis=-1)


def mean_of_means(sums: np.ndarray) -> np.ndarray:
    """The mean of T quotients, from sums (..., 2 T): T values, then their T counts."""
    columns = sums.shape[-1] // 2
    return divide(sums[..., :columns], sums[..., columns:]).mean(axis=-1)


def harmonic_mean(precision: np.ndarray | float, recall: np.ndarray | float) -> np.ndarray:
    """F1 = 2PR/(P+R), 0 where both are 0."""
    total = np.asarray(precision + recall, dtype=float)
    return np.divide(2.0 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
