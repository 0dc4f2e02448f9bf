"""Choose the settings that score best on training videos: all the training there is.

Two rounds of a fixed grid: where to cut and how much to keep, then, with the best of those, what to quote.  Scores do
not change which segments exist, so every video is cut once for all penalties, and recall is computed once for every
way of quoting; thresholds are quantiles of the scores that occur.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from hicm.errors import UserError
from hicm.systems.base import Score
from hicm.systems.recall.decode import Footage, quote
from hicm.systems.recall.model import Captions, recall
from hicm.systems.recall.segment import segment
from hicm.systems.recall.settings import Centring, Settings


@dataclass(frozen=True)
class Grid:
    """The values tried: every pair of the first two, then every pair of the last two."""

    penalties: tuple[float, ...] = (1.5, 2.0, 3.0, 4.5, 7.0, 10.0)  # seconds
    dropped: tuple[float, ...] = (0.0, 0.2, 0.35, 0.5, 0.65)  # share of the segments left without caption
    centrings: tuple[Centring, ...] = ("none", "queries", "both")
    neighbours: tuple[int, ...] = (1, 5, 10)


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
    ['c', 'd']
    """
    places = np.random.default_rng(seed).permutation(len(ids))[:most]
    return [ids[place] for place in sorted(places.tolist())]


def choose(footage: Sequence[Footage], captions: Captions, mean: np.ndarray, score: Score,
           base: Settings | None = None, grid: Grid | None = None, most: int = 200, seed: int = 0,
           leave_own_out: bool = True) -> Choice:
    """The settings with the highest ``score`` on at most ``most`` of the training videos, drawn by ``seed``.

    ``score(events by video)`` is called once for every setting, e.g. with the house's evaluator.  With ``leave_own_out`` no
    video quotes its own captions, as no video will in test.  What the grid does not vary comes from ``base``; of equal
    scores the first wins.  Deterministic.  Raises UserError without a video, when a score is not a number, or as
    `recall` does.
    """
    base, grid = base or Settings(), grid or Grid()
    if not footage:
        raise UserError("recall: no training video to choose settings on; name a training split with features")
    by_id = {video.id: video for video in footage}
    trial = _Trial([by_id[name] for name in draw(list(by_id), most, seed)], captions, mean, score, base, grid,
                   leave_own_out)
    rounds = len(grid.penalties) * len(grid.dropped), len(grid.centrings) * len(grid.neighbours)
    with tqdm(total=sum(rounds), desc="settings", unit="tried") as progress:
        tried = []
        for penalty, dropped in itertools.product(grid.penalties, grid.dropped):
            settings = dataclasses.replace(base, penalty=penalty)
            tried.append((trial.run(settings, dropped), dropped))
            progress.update()
        cut, dropped = _best(tried)
        for centring, neighbours in itertools.product(grid.centrings, grid.neighbours):
            settings = dataclasses.replace(cut.settings, centring=centring, neighbours=neighbours)
            tried.append((trial.run(settings, dropped), dropped))
            progress.update()
    return Choice(_best(tried)[0].settings, tuple(row for row, _ in tried), tuple(video.id for video in trial.videos))


def _best(tried: list[tuple[Tried, float]]) -> tuple[Tried, float]:
    return max(tried, key=lambda row: row[0].score)


class _Trial:
    """The videos cut at every penalty of the grid, and what is tried on them."""

    def __init__(self, videos: list[Footage], captions: Captions, mean: np.ndarray, score: Score, base: Settings,
                 grid: Grid, leave_own_out: bool) -> None:
        self.videos, self.captions, self.mean, self.score, self.own = videos, captions, mean, score, leave_own_out
        cuts = [segment(video.rows, video.step, video.duration, grid.penalties, base.shortest)
                for video in tqdm(videos, desc="cut", unit="video")]
        self.segments = dict(zip(grid.penalties, zip(*cuts, strict=True), strict=True))
        self._recalled: tuple[Settings, list] | None = None

    def run(self, settings: Settings, dropped: float) -> Tried:
        """Score of the settings with the threshold below which the share ``dropped`` of all segments lies."""
        segments, recalled = self.segments[settings.penalty], self._recall(settings)
        scores = np.concatenate([one.scores for one in recalled])
        scores = scores[np.isfinite(scores)]
        lowest = float(np.quantile(scores, dropped, method="lower")) if dropped and len(scores) else -1.0
        settings = dataclasses.replace(settings, threshold=max(math.floor(lowest * 1e4) / 1e4, -1.0))
        events = {video.id: quote(cut, one, self.captions, settings.threshold)
                  for video, cut, one in zip(self.videos, segments, recalled, strict=True)}
        value = float(self.score(events))
        if math.isnan(value):
            raise UserError(f"recall: the score of {settings} is not a number; choose by another metric "
                            "(train.select_on)")
        return Tried(settings, value, sum(map(len, events.values())) / len(events))

    def _recall(self, settings: Settings) -> list:
        key = dataclasses.replace(settings, threshold=0.0)
        if self._recalled is None or self._recalled[0] != key:
            self._recalled = key, [recall(cut.means, self.captions, self.mean, settings, video.id if self.own else None)
                                   for video, cut in zip(self.videos, self.segments[settings.penalty], strict=True)]
        return self._recalled[1]

