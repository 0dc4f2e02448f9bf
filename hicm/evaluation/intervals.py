"""Bootstrap intervals over videos, from resampled rows of statistics; nothing is scored again.

Percentile bootstrap: Efron and Tibshirani, 1993; for corpus scores Koehn, "Statistical Significance Tests for Machine
Translation Evaluation", EMNLP 2004.  V videos, b samples of one block.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hicm.errors import UserError
from hicm.evaluation.measures import Measure

CELLS = 50_000  # b x V at most: what is drawn at once stays in the processor's cache
LEVEL = 0.95
MOST = 1_000_000  # samples: the scores of all of them are kept

Key = TypeVar("Key")


@dataclass(frozen=True)
class Interval:
    """Both ends of an interval, in the unit of the score."""

    low: float
    high: float


def bootstrap(measures: Mapping[str, Measure], samples: int = 1000, seed: int = 0, level: float = LEVEL,
              ) -> dict[str, Interval]:
    """Percentile bootstrap intervals of all scores, from the same resampled videos (rows), so they are paired.

    The same ``seed`` gives the same intervals, whatever the order of ``measures``.  Raises UserError for ``samples``
    below 1, ``level`` outside (0, 1) or a negative ``seed``.
    """
    check_draws(samples, seed)
    if not 0.0 < level < 1.0:
        raise UserError(f"level is {level}, expected a share between 0 and 1, e.g. {LEVEL}")
    resampled = resampled_scores(measures, samples, seed)
    return {name: percentile_interval(scores, level) for name, scores in resampled.items()}


def resampled_scores(measures: Mapping[Key, Measure], samples: int, seed: int) -> dict[Key, np.ndarray]:
    """Scores (samples,) of as many videos as there are, drawn with replacement, the same ones for all measures."""
    random, scores = np.random.default_rng(seed), {key: np.empty(samples) for key in measures}
    videos = max((len(measure.statistics) for measure in measures.values()), default=0)
    for block in blocks(samples, videos):
        weights = _draw_videos(random, block, videos)
        for key, measure in measures.items():
            scores[key][block] = measure.finish(weights @ measure.statistics)
    return scores


def blocks(samples: int, videos: int) -> Iterator[slice]:
    """Slices of samples that are drawn at once: CELLS numbers at most, but at least one sample."""
    size = max(1, CELLS // max(videos, 1))
    return (slice(first, min(first + size, samples)) for first in range(0, samples, size))


# The type is quoted because naming it would load numpy.random, which few evaluations need.
def _draw_videos(random: "np.random.Generator", block: slice, videos: int) -> np.ndarray:
    """Multinomial counts (b, V): how often each video is drawn."""
    size = block.stop - block.start
    drawn = random.integers(0, max(videos, 1), (size, videos)) + videos * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * videos).reshape(size, videos).astype(float)


def percentile_interval(scores: np.ndarray, level: float) -> Interval:
    """The interval of the middle share ``level`` of scores (samples,)."""
    low, high = np.quantile(scores, [(1.0 - level) / 2.0, (1.0 + level) / 2.0]).tolist()
    return Interval(low, high)


def check_draws(samples: int, seed: int) -> None:
    """UserError for ``samples`` below 1 or above MOST, or a negative ``seed``."""
    if samples < 1:
        raise UserError(f"samples is {samples}, expected 1 or more, e.g. 1000")
    if samples > MOST:
        raise UserError(f"samples is {samples}, expected {MOST} at most, e.g. 1000: more would not fit into memory")
    if seed < 0:
        raise UserError(f"seed is {seed}, expected 0 or more")
