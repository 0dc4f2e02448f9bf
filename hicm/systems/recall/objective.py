"""Choose the settings that score best on training videos: all the training there is.

A fixed grid in three rounds, each starting from the best so far: where to cut and how much to keep; what to quote; and
again how much to keep, since what is quoted decides the scores.  Every video is cut once for all penalties, recall is
computed once for every way of quoting, and thresholds are quantiles of the scores that occur.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from hicm.errors import UserError
from hicm.systems.recall.decode import Footage, quote
from hicm.systems.recall.model import Captions, recall
from hicm.systems.recall.segment import segment
from hicm.systems.recall.settings import Centring, Settings
from hicm.types import Event

Score = Callable[[Mapping[str, list[Event]]], float]  # of the events of some training videos; higher is better


@dataclass(frozen=True)
class Grid:
    """The values tried: penalties with coarse shares, then centrings with neighbours, then fine shares."""

    penalties: tuple[float, ...] = (1.5, 2.0, 3.0, 4.5, 7.0, 10.0)  # seconds
    coarse: tuple[float, ...] = (0.0, 0.2, 0.35, 0.5, 0.65)  # shares of the segments that quote nothing
    centrings: tuple[Centring, ...] = ("none", "queries", "both")
    neighbours: tuple[int, ...] = (1, 5, 10)
    fine: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Tried:
    """One row of the table: settings, their score, and the events per video they gave."""

    settings: Settings
    score: float
    events: float


@dataclass(frozen=True)
class Choice:
    """The best settings, everything tried in order, and the ids of the videos it was tried on."""

    settings: Settings
    tried: tuple[Tried, ...]
    videos: tuple[str, ...]


def draw(ids: Sequence[str], most: int, seed: int) -> list[str]:
    """At most ``most`` of the ids, drawn by ``seed``, in their order; so that only these videos need be read.

    >>> draw(["a", "b", "c", "d"], 2, seed=0)
    ['a', 'c']
    """
    places = np.random.default_rng(seed).permutation(len(ids))[:most]
    return [ids[place] for place in sorted(places.tolist())]


def choose(footage: Sequence[Footage], captions: Captions, mean: np.ndarray, score: Score,
           base: Settings | None = None, grid: Grid | None = None, most: int = 200, seed: int = 0,
           leave_own_out: bool = True) -> Choice:
    """The settings with the highest ``score`` on at most ``most`` of the training videos, drawn by ``seed``.

    ``score`` is given the events of exactly these videos (`draw`), once for every setting: 48 times with the default
    grid.  With ``leave_own_out`` no video quotes its own captions, as no video does in test.  What the grid does not
    vary comes from ``base``; of equal scores the first wins.  Deterministic.  Raises UserError without a video, when a
    score is not a number, or as `recall` does.
    """
    base, grid = base or Settings(), grid or Grid()
    if not footage:
        raise UserError("recall: no training video to choose settings on; name a training split with features")
    by_id = {video.id: video for video in footage}
    trial = _Trial([by_id[name] for name in draw(list(by_id), most, seed)], captions, mean, score, base, grid,
                   leave_own_out)
    tried = [(trial.run(replace(base, penalty=penalty), dropped), dropped)
             for penalty, dropped in _bar(itertools.product(grid.penalties, grid.coarse), "where to cut")]
    best, dropped = _best(tried)
    tried += [(trial.run(replace(best.settings, centring=centring, neighbours=neighbours), dropped), dropped)
              for centring, neighbours in _bar(itertools.product(grid.centrings, grid.neighbours), "what to quote")]
    best, _ = _best(tried)
    tried += [(trial.run(best.settings, dropped), dropped) for dropped in _bar(grid.fine, "how much to keep")]
    return Choice(_best(tried)[0].settings, tuple(row for row, _ in tried), tuple(video.id for video in trial.videos))


def _bar(values: Iterable, what: str) -> Iterable:
    return tqdm(list(values), desc=f"recall: {what}", unit="tried")


def _best(tried: list[tuple[Tried, float]]) -> tuple[Tried, float]:
    return max(tried, key=lambda row: row[0].score)


class _Trial:
    """The videos cut at every penalty of the grid, and what is tried on them."""

    def __init__(self, videos: list[Footage], captions: Captions, mean: np.ndarray, score: Score, base: Settings,
                 grid: Grid, leave_own_out: bool) -> None:
        self.videos, self.captions, self.mean, self.score, self.own = videos, captions, mean, score, leave_own_out
        cuts = [segment(video.rows, video.step, video.duration, grid.penalties, base.shortest)
                for video in tqdm(videos, desc="recall: cut", unit="video")]
        self.segments = dict(zip(grid.penalties, zip(*cuts, strict=True), strict=True))
        self._recalled: tuple[Settings, list] | None = None

    def run(self, settings: Settings, dropped: float) -> Tried:
        """Score of the settings with the threshold below which the share ``dropped`` of all segments lies."""
        segments, recalled = self.segments[settings.penalty], self._recall(settings)
        scores = np.concatenate([one.scores for one in recalled])
        scores = scores[np.isfinite(scores)]
        middle = float(np.quantile(scores, dropped, method="midpoint")) if dropped and len(scores) else -1.0
        settings = replace(settings, threshold=max(math.floor(middle * 1e4) / 1e4, -1.0))
        events = {video.id: quote(cut, one, self.captions, settings.threshold)
                  for video, cut, one in zip(self.videos, segments, recalled, strict=True)}
        value = float(self.score(events))
        if math.isnan(value):
            raise UserError(f"recall: the score of {settings} is not a number; choose by another metric "
                            "(train.select_on)")
        return Tried(settings, value, sum(map(len, events.values())) / len(events))

    def _recall(self, settings: Settings) -> list:
        key = replace(settings, threshold=0.0)
        if self._recalled is None or self._recalled[0] != key:
            self._recalled = key, [recall(cut.means, self.captions, self.mean, settings, video.id if self.own else None)
                                   for video, cut in zip(self.videos, self.segments[settings.penalty], strict=True)]
        return self._recalled[1]
