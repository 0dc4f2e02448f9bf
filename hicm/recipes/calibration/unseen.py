"""What the choice among these trials gains on videos that had no part in it: cross-validation over the videos.

The trials themselves are not chosen anew: which settings were tried beside which was decided on all videos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hicm.evaluation.measures import Measure

FOLDS = 5


def unseen_difference(trials: Sequence[Mapping[str, Measure]], chosen_by: str) -> dict[str, float]:
    """By metric, how much better than the first trial the chosen ones are, each on videos that did not choose it.

    ``trials``: the measures of the same videos by metric.  Each fifth of the videos is scored with the trial that is
    best on all others; the score is that of all of them together.  Empty with fewer videos than folds.
    """
    base = trials[0]
    videos = len(base[chosen_by].statistics)
    if videos < FOLDS:
        return {}
    rows = {name: measure.statistics.copy() for name, measure in base.items()}
    for fold in range(FOLDS):
        own = np.arange(videos) % FOLDS == fold
        scores = [_of(one[chosen_by], one[chosen_by].statistics[~own]) for one in trials]
        best = trials[int(np.argmax(scores))]
        for name, measure in best.items():
            rows[name][own] = measure.statistics[own]
    return {name: _of(measure, rows[name]) - measure.score() for name, measure in base.items()}


def _of(measure: Measure, rows: np.ndarray) -> float:
    return replace(measure, statistics=rows).score()
