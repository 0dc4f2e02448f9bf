"""A metric as sums over videos: what corpus scores, per-video tables, intervals and tests are all made of.

Each video contributes a row of statistics; the score of any collection of videos is a pure function of the sum of
their rows.  So a bootstrap sample is a weighted sum, and nothing is ever scored twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Finish = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Measure:
    """One metric: ``statistics`` (V, K) float64, a row a video, and ``finish``: sums (..., K) -> scores (...).

    A video that takes no part (a rule, or an annotator, leaves it out) has a row of zeros.  ``additive``: whether rows
    stay as they are when other videos join (not where an idf is counted over all of them).
    """

    name: str
    statistics: np.ndarray
    finish: Finish
    additive: bool = True

    def score(self) -> float:
        """Of all videos together."""
        return float(self.finish(self.statistics.sum(axis=0)))

    def by_video(self) -> np.ndarray:
        """Of each video alone, (V,)."""
        return self.finish(self.statistics)


def divide(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``sums / counts``, 0 where there is nothing to count."""
    sums, counts = np.broadcast_arrays(sums, counts)
    return np.divide(sums, counts, out=np.zeros(sums.shape), where=counts > 0)


def mean_measure(name: str, values: np.ndarray, counts: np.ndarray | None = None, additive: bool = True) -> Measure:
    """Quotient of sums of ``values`` and ``counts`` (V, T), averaged over columns; ``counts`` None: one a video."""
    counts = np.ones(values.shape) if counts is None else counts
    return Measure(name, np.concatenate([values, counts], axis=1), mean_of_means, additive)


def f1_measure(name: str, precision: np.ndarray, recall: np.ndarray, of_means: bool) -> Measure:
    """F1 of mean precision and mean recall (V, T): at each column and then averaged, or (``of_means``) of the means
    over columns."""
    rows = np.concatenate([precision, recall, np.ones((len(precision), 1))], axis=1)
    return Measure(name, rows, f1_of_means if of_means else mean_of_f1s)


def mean_of_f1s(sums: np.ndarray) -> np.ndarray:
    """Sums (..., 2 T + 1) of precision and recall at T columns and of videos -> the mean of the T F1s."""
    return harmonic_mean(*_precision_recall(sums)).mean(axis=-1)


def f1_of_means(sums: np.ndarray) -> np.ndarray:
    """Likewise -> the F1 of precision and recall that are averaged over columns first."""
    precision, recall = _precision_recall(sums)
    return harmonic_mean(precision.mean(axis=-1), recall.mean(axis=-1))


def _precision_recall(sums: np.ndarray) -> list[np.ndarray]:
    return np.split(divide(sums[..., :-1], sums[..., -1:]), 2, axis=-1)


def mean_of_means(sums: np.ndarray) -> np.ndarray:
    """Sums (..., 2 T) of T values and of their T counts -> the mean of the T quotients."""
    columns = sums.shape[-1] // 2
    return divide(sums[..., :columns], sums[..., columns:]).mean(axis=-1)


def harmonic_mean(precision: np.ndarray | float, recall: np.ndarray | float) -> np.ndarray:
    """F1 = 2PR/(P+R), 0 where both are 0."""
    total = np.asarray(precision + recall, dtype=float)
    return np.divide(2.0 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
