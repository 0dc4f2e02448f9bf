"""Intervals of differences over videos and seeds: a bootstrap that resamples both.

Videos are drawn with replacement, the same ones for all that is compared, and so are the trainings of a cell: the
conditions of one cell share its weights and draw the same trainings, cells draw theirs independently.  (Davison and
Hinkley, Bootstrap Methods and their Application, 1997, section 3.8, on data with two sources of variation.)  Few seeds
vary less when drawn from themselves than new trainings would, by a factor of (S - 1) / S in variance; with one seed the
interval is over videos alone.  S seeds, b samples.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hicm.errors import UserError
from hicm.evaluation.intervals import LEVEL, Interval, percentile_interval, resampled_scores
from hicm.evaluation.measures import Measure
from hicm.evaluation.significance import FEWEST

Trained = dict[int, Measure]  # one metric of a cell under a condition, by seed


@dataclass(frozen=True)
class Change:
    """``one`` against ``base``, means over seeds; ``relative``: (one - base) / base, None where the base is 0.

    ``interval``: of ``relative``, 95 %; None with fewer than `FEWEST` videos, or where samples of the base are 0.
    """

    one: float
    base: float
    relative: float | None
    interval: Interval | None


class Bootstrap:
    """Resampled scores of everything that is compared, by (cell, condition)."""

    def __init__(self, scored: Mapping[tuple[str, str], Trained], samples: int = 1000, seed: int = 0) -> None:
        """Raises UserError where not all were scored on as many videos; ``samples`` and ``seed`` as for intervals."""
        self._scored = {key: dict(sorted(trained.items())) for key, trained in scored.items() if trained}
        measures = {(*key, run): measure for key, trained in self._scored.items() for run, measure in trained.items()}
        sizes = sorted({len(measure.statistics) for measure in measures.values()})
        if len(sizes) > 1:
            raise UserError(f"runs were scored on different numbers of videos ({', '.join(map(str, sizes))}); compare "
                            "those of the same split")
        self.videos = sizes[0] if sizes else 0
        self._samples, self._seed = samples, seed
        self._resampled = resampled_scores(measures, samples, seed)

    def change(self, one: tuple[str, str], base: tuple[str, str]) -> Change:
        """``one`` against ``base``; of one cell, on the seeds that both have.  KeyError where one was not scored."""
        seeds = {key: list(self._scored[key]) for key in (one, base)}
        if one[0] == base[0]:
            both = [seed for seed in seeds[one] if seed in seeds[base]]
            if not both:
                raise KeyError(one)
            seeds = dict.fromkeys(seeds, both)
        means = [float(np.mean([self._scored[key][seed].score() for seed in seeds[key]])) for key in (one, base)]
        ones, bases = (self._drawn(key, seeds[key]) for key in (one, base))
        relative = means[0] / means[1] - 1 if means[1] > 0 else None
        sure = relative is not None and self.videos >= FEWEST and bool((bases > 0).all())
        interval = percentile_interval(ones / bases - 1, LEVEL) if sure else None
        return Change(means[0], means[1], relative, interval)

    def interval(self, key: tuple[str, str]) -> Interval | None:
        """The interval of a mean over seeds; None with too few videos."""
        if self.videos < FEWEST:
            return None
        return percentile_interval(self._drawn(key, list(self._scored[key])), LEVEL)

    def _drawn(self, key: tuple[str, str], seeds: Sequence[int]) -> np.ndarray:
        """Scores (b,): the means over as many trainings as there are, drawn with replacement."""
        random = np.random.default_rng([self._seed, zlib.crc32(key[0].encode())])
        chosen = random.integers(0, len(seeds), (len(seeds), self._samples))
        scores = np.stack([self._resampled[*key, seed] for seed in seeds])
        return np.take_along_axis(scores, chosen, axis=0).mean(axis=0)
