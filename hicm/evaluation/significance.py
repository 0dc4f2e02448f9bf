"""Paired tests over videos, or other units, from resampled rows of statistics; nothing is scored again.

    interval            percentile bootstrap                       see `intervals`
    p of the bootstrap  |d_b - mean(d_b)| >= |d|, two-sided        Koehn 2004, centred as sacreBLEU does
    p of the swaps      |d*| >= |d|, approximate randomisation     Riezler and Maxwell, ACL workshop MTSE 2005
    Holm                step-down over the systems of one metric   Holm, Scand. J. Statist. 6, 1979

d is the difference between a system and the baseline.  With B samples, p is (hits + 1) / (B + 1), so it is never 0.
Swaps of n videos have 2^n outcomes, so no p is below 2 / 2^n: with fewer than six videos none can be below 0.05, and
a bootstrap of so few sees hardly any variation.  Then there are no intervals and no p values.
There is no correction for several metrics.  V videos, K statistics, b samples of one block.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from hicm.errors import UserError
from hicm.evaluation import tables
from hicm.evaluation.intervals import LEVEL, Interval, blocks, check_draws, percentile_interval, resampled_scores
from hicm.evaluation.measures import Measure
from hicm.evaluation.rules import nearest
from hicm.evaluation.signatures import of_parts, parts_of, unlike

NOT_TESTED = "n/a"
TIE = 1e-12  # differences below it are rounding
LARGEST = 5  # videos listed with each comparison
FEWEST = 6  # videos that a test needs: the least n with 2 / 2^n < 0.05


class Comparable(Protocol):
    """A scored system: ids of its videos (or other units), one row of each measure per video, how it was scored."""

    @property
    def videos(self) -> tuple[str, ...]: ...
    @property
    def measures(self) -> dict[str, Measure]: ...
    @property
    def signature(self) -> str: ...


@dataclass(frozen=True)
class VideoDifference:
    """The scores of one video; ``difference``: system minus baseline."""

    video: str
    baseline: float
    system: float
    difference: float


@dataclass(frozen=True)
class Versus:
    """One system against the baseline by one metric, on the common videos.

    ``difference``: system minus baseline; ``interval``: its 95 % interval.  ``bootstrap_p``, ``randomisation_p``:
    two-sided, as above; with ``_holm``: adjusted over the systems, None if there is only one.  Interval and p values
    are None with fewer than FEWEST videos that both have a score for.  ``won``, ``tied``, ``lost``: numbers of videos
    that the system wins, ties, loses; a video that one side leaves out is a tie.  ``largest``: the videos that differ
    most.
    """

    metric: str
    system: str
    baseline_score: float
    score: float
    difference: float
    interval: Interval | None
    bootstrap_p: float | None
    randomisation_p: float | None
    bootstrap_p_holm: float | None
    randomisation_p_holm: float | None
    won: int
    tied: int
    lost: int
    largest: tuple[VideoDifference, ...]


@dataclass(frozen=True)
class Comparison:
    """What `compare` returns.  Scores are fractions; tables print them times 100.

    ``systems``: the baseline first.  ``videos``: those common to all systems; ``known``: the number that any system
    has.  ``printed``: the metrics in the tables.  ``signature``: what the systems' signatures have in common, with the
    number of common videos and of samples.  ``unit``: what the videos are called where they are something else.
    """

    systems: tuple[str, ...]
    videos: tuple[str, ...]
    known: int
    rows: tuple[Versus, ...]
    printed: tuple[str, ...]
    signature: str
    warnings: tuple[str, ...] = ()
    unit: str = "videos"

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """{system: {metric: score on the common videos}}."""
        table: dict[str, dict[str, float]] = {system: {} for system in self.systems}
        for row in self.rows:
            table[self.systems[0]][row.metric] = row.baseline_score
            table[row.system][row.metric] = row.score
        return table

    def row(self, metric: str, system: str | None = None) -> Versus:
        """The comparison of a system (None: the first after the baseline).  Raises KeyError if there is none."""
        return {(row.metric, row.system): row for row in self.rows}[metric, system or self.systems[1]]

    def to_json(self) -> dict[str, Any]:
        """Plain data: every metric, printed in tables or not; intervals as [low, high]."""
        rows = [asdict(row) | {"interval": _ends(row)} for row in self.rows]
        return json.loads(json.dumps({
            "baseline": self.systems[0], "systems": self.systems, "common": len(self.videos), "known": self.known,
            self.unit: self.videos, "scores": self.scores, "comparisons": rows, "warnings": self.warnings,
            "signature": self.signature}))

    def to_markdown(self, decimals: int = 2) -> str:
        """A table; below it the number of videos, warnings and the signature."""
        table = tables.markdown(*_table(self, decimals), names=2)
        return "\n".join([table, *(f"\n{note}" for note in _notes(self)), f"\n`{self.signature}`"])

    def to_latex(self, decimals: int = 2) -> str:
        """A booktabs table; the number of videos, warnings and the signature are comments."""
        return tables.latex(*_table(self, decimals), notes=[*_notes(self), self.signature], names=2)

    def __str__(self) -> str:
        """The table, the videos that differ most, warnings and the signature."""
        headings, rows = _table(self, 2)
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        lines = ["  ".join(f"{cell:{'<' if at < 2 else '>'}{width}}" for at, (cell, width) in
                           enumerate(zip(line, widths, strict=True))).rstrip() for line in (headings, *rows)]
        lines += [f"largest differences in {row.metric}, {row.system}: " + ", ".join(
            f"{one.video} {100 * one.difference:+.2f}" for one in row.largest)
            for row in self.rows if row.metric in self.printed and row.largest]
        return "\n".join([*lines, *_notes(self), self.signature])


def compare(systems: Mapping[str, Comparable], metrics: Iterable[str] | None = None, samples: int = 1000,
            seed: int = 0, warnings: Sequence[str] = (), unit: str = "videos") -> Comparison:
    """Compare systems with the first of them, the baseline, video by video, on the videos that all have.

    ``metrics``: those to compare (None: all that the systems share; tables then omit metrics of a single threshold).
    ``warnings``: further lines to print below the table.  ``unit``: what messages call the videos.  For
    the tests and their sources see the top of this file.
    Raises UserError for fewer than two systems, signatures that differ in more than coverage, no common videos, or an
    unknown metric (the nearest is named).
    """
    check_draws(samples, seed)
    if len(systems) < 2:
        raise UserError(f"{len(systems)} systems to compare, expected two or more, the baseline first")
    _check_signatures(systems)
    baseline, *others = systems
    wanted = _select_metrics(systems, metrics)
    videos, known = _common_videos(systems, unit)
    measures = {(metric, system): replace(result.measures[metric], statistics=rows) for system, result in
                systems.items() for metric, rows in _common_rows(result, wanted, videos).items()}
    resampled = resampled_scores(measures, samples, seed)
    swapped = _swapped(measures, wanted, baseline, others, samples, seed)
    rows: list[Versus] = []
    for metric in wanted:
        made = [_versus(videos, metric, system, measures[metric, baseline], measures[metric, system],
                        resampled[metric, system] - resampled[metric, baseline], swapped[metric, system])
                for system in others]
        # Systems with too few videos are no tests, so they are not corrected for.
        tested = [one for one in made if one.bootstrap_p is not None and one.randomisation_p is not None]
        adjusted = iter(_adjust(tested) if len(made) > 1 else tested)
        rows += [one if one.bootstrap_p is None else next(adjusted) for one in made]
    printed = tuple(name for name in wanted if "@" not in name) if metrics is None else ()
    return Comparison(
        systems=tuple(systems), videos=videos, known=known, rows=tuple(rows), printed=printed or wanted,
        signature=_joint_signature(systems[baseline].signature, len(videos), samples, seed),
        warnings=(*_warnings(systems, wanted, len(videos), known, unit), *_too_few(rows, unit), *warnings), unit=unit)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979): the i-th smallest of m is multiplied by m - i, from i = 0; ascending, at most 1.

    >>> holm([0.25, 0.125, 0.75])
    [0.5, 0.375, 0.75]
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def _swapped(measures: Mapping[tuple[str, str], Measure], metrics: Sequence[str], baseline: str,
             others: Sequence[str], samples: int, seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Differences (samples,) from the baseline by metric and system, with each video swapped with probability 1/2."""
    # A random stream of its own: swaps must not depend on which videos were resampled.
    random = np.random.default_rng([seed, 1])
    found = {(metric, system): np.empty(samples) for metric in metrics for system in others}
    videos = len(measures[metrics[0], baseline].statistics)
    for block in blocks(samples, videos):
        swap = random.integers(0, 2, (block.stop - block.start, videos)).astype(float)
        # Both sums are computed from rows: subtracting one from the total would leave rounding errors instead of 0.
        both = np.concatenate([1.0 - swap, swap])
        for metric in metrics:
            base_stays, base_moves = np.split(both @ measures[metric, baseline].statistics, 2)
            for system in others:
                finish = measures[metric, system].finish
                stays, moves = np.split(both @ measures[metric, system].statistics, 2)
                found[metric, system][block] = finish(stays + base_moves) - finish(base_stays + moves)
    return found


def _versus(videos: Sequence[str], metric: str, system: str, one: Measure, two: Measure, resampled: np.ndarray,
            swapped: np.ndarray) -> Versus:
    """``one`` is the baseline's measure, ``two`` the system's; ``resampled``, ``swapped``: differences (samples,)."""
    scores = one.score(), two.score()
    by_video = one.by_video(), two.by_video()
    take_part = one.statistics.any(axis=1) & two.statistics.any(axis=1)
    differences = np.where(take_part, by_video[1] - by_video[0], 0.0)
    differences[np.abs(differences) < TIE] = 0.0
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    largest = np.argsort(-np.abs(differences), kind="stable")[:min(LARGEST, won + lost)].tolist()
    difference, enough = scores[1] - scores[0], np.count_nonzero(take_part) >= FEWEST
    return Versus(
        metric=metric, system=system, baseline_score=scores[0], score=scores[1], difference=difference,
        interval=percentile_interval(resampled, LEVEL) if enough else None,
        bootstrap_p=_p_value(resampled - resampled.mean(), difference) if enough else None,
        randomisation_p=_p_value(swapped, difference) if enough else None,
        bootstrap_p_holm=None, randomisation_p_holm=None,
        won=won, tied=len(differences) - won - lost, lost=lost,
        largest=tuple(VideoDifference(videos[at], float(by_video[0][at]), float(by_video[1][at]),
                                      float(differences[at])) for at in largest))


def _p_value(under_null: np.ndarray, difference: float) -> float:
    # The observed difference counts as a hit and a sample: this keeps the level (Davison and Hinkley 1997, sec. 4.2).
    hits = np.count_nonzero(np.abs(under_null) >= abs(difference) - TIE)
    return (hits + 1) / (len(under_null) + 1)


def _adjust(rows: Sequence[Versus]) -> list[Versus]:
    one, two = (holm([getattr(row, name) for row in rows]) for name in ("bootstrap_p", "randomisation_p"))
    return [replace(row, bootstrap_p_holm=one[at], randomisation_p_holm=two[at]) for at, row in enumerate(rows)]


def _check_signatures(systems: Mapping[str, Comparable]) -> None:
    baseline = next(iter(systems))
    for system, result in systems.items():
        others = unlike(systems[baseline].signature, result.signature)
        if others:
            raise UserError(f"{system} was not scored as {baseline} was: {'; '.join(others)}; score both by the same "
                            "protocol, metrics, references and version")


def _select_metrics(systems: Mapping[str, Comparable], metrics: Iterable[str] | None) -> tuple[str, ...]:
    first, *rest = systems.values()
    shared = tuple(name for name in first.measures if all(name in result.measures for result in rest))
    wanted = shared if metrics is None else tuple(dict.fromkeys([metrics] if isinstance(metrics, str) else metrics))
    if not shared or not wanted:
        raise UserError("metrics is empty: name at least one, or pass None for all" if shared else
                        f"{', '.join(systems)} share no metric; score them with the same metrics")
    for name in wanted:
        if name not in shared:
            raise UserError(f"metric {name!r} is unknown to {', '.join(systems)}; {nearest(name, shared)}; known to "
                            f"all: {', '.join(shared)}")
    return wanted


def _common_videos(systems: Mapping[str, Comparable], unit: str) -> tuple[tuple[str, ...], int]:
    sets = [set(result.videos) for result in systems.values()]
    videos = tuple(sorted(set.intersection(*sets)))
    if not videos:
        counts = ", ".join(f"{system} {len(result.videos)}" for system, result in systems.items())
        raise UserError(f"no {unit} were scored for all systems ({counts}); compare systems on the same {unit}")
    return videos, len(set.union(*sets))


def _common_rows(result: Comparable, metrics: Sequence[str], videos: Sequence[str]) -> dict[str, np.ndarray]:
    place = {video: at for at, video in enumerate(result.videos)}
    chosen = np.array([place[video] for video in videos])
    return {metric: result.measures[metric].statistics[chosen] for metric in metrics}


def _warnings(systems: Mapping[str, Comparable], metrics: Sequence[str], common: int, known: int, unit: str,
              ) -> tuple[str, ...]:
    coverage = {system: parts_of(result.signature).get("cov", str(len(result.videos)))
                for system, result in systems.items()}
    if common == known and len(set(coverage.values())) == 1:
        return ()
    counts = ", ".join(f"{system} {part}" for system, part in coverage.items())
    warnings = [f"coverage differs ({counts}); compared on the {common} {unit} that all systems have"]
    fixed = [name for name in metrics if not all(result.measures[name].additive for result in systems.values())]
    if fixed:
        warnings.append(f"{', '.join(fixed)}: n-grams are weighted over all videos of each system, common or not")
    return tuple(warnings)


def _too_few(rows: Sequence[Versus], unit: str) -> list[str]:
    metrics = list(dict.fromkeys(row.metric for row in rows if row.bootstrap_p is None))
    if not metrics:
        return []
    which = "" if all(row.bootstrap_p is None for row in rows) else f"{', '.join(metrics)}: "
    return [f"{which}n/a: intervals and p values need at least {FEWEST} {unit}; with fewer, no difference can be "
            "significant at 5 %"]


def _ends(row: Versus) -> list[float] | None:
    return None if row.interval is None else [row.interval.low, row.interval.high]


def _joint_signature(signature: str, common: int, samples: int, seed: int) -> str:
    parts = parts_of(signature)
    if "cov" in parts:
        parts["cov"] = f"{common}/{parts['cov'].partition('/')[2] or common}"
    parts.pop("boot", None)
    return of_parts(parts | {"paired": f"{samples},seed={seed}"})


def _notes(comparison: Comparison) -> list[str]:
    return [f"Differences from {comparison.systems[0]}, times 100, on {len(comparison.videos)} of "
            f"{comparison.known} {comparison.unit}",
            *(f"warning: {warning}" for warning in comparison.warnings)]


def _table(comparison: Comparison, decimals: int) -> tuple[list[str], list[list[str]]]:
    """Headings and cells; the first two columns are names.  Columns of adjusted p values only if there are any."""
    adjusted = len(comparison.systems) > 2
    headings = ["metric", "system", "score", "difference", "95 % interval", "p bootstrap", "p swaps",
                *(["p bootstrap, Holm", "p swaps, Holm"] if adjusted else []), "won/tied/lost"]
    rows = []
    for metric in comparison.printed:
        versus = [row for row in comparison.rows if row.metric == metric]
        start = [metric, comparison.systems[0], f"{100 * versus[0].baseline_score:.{decimals}f}"]
        rows.append([*start, *[""] * (len(headings) - len(start))])
        for row in versus:
            p_values = [row.bootstrap_p, row.randomisation_p]
            p_values += [row.bootstrap_p_holm, row.randomisation_p_holm] if adjusted else []
            ends = [f"{100 * end:+.{decimals}f}" for end in _ends(row) or ()]
            rows.append(["", row.system, f"{100 * row.score:.{decimals}f}", f"{100 * row.difference:+.{decimals}f}",
                         f"[{', '.join(ends)}]" if ends else NOT_TESTED,
                         *(NOT_TESTED if p is None else f"{p:.4f}" for p in p_values),
                         f"{row.won}/{row.tied}/{row.lost}"])
    return headings, rows
