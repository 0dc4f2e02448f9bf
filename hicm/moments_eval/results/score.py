"""Results: statistics per query, and scores as pure functions of their sums; frozen, can be added and printed."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from hicm.evaluation.intervals import Interval, bootstrap
from hicm.evaluation.measures import Measure
from hicm.evaluation.result import Scored
from hicm.evaluation.signatures import of_parts, parts_of
from hicm.moments_eval.inputs.protocols import LEVELS, Protocol
from hicm.moments_eval.results import tables

Unit = Literal["videos", "queries"]


@dataclass(frozen=True)
class Drawn:
    """What intervals and tests draw: videos, with the statistics of all their queries, or single queries."""

    videos: tuple[str, ...]
    measures: dict[str, Measure]
    signature: str


@dataclass(frozen=True, eq=False)
class Result(Scored):
    """What `evaluate` returns.  Scores are fractions; papers print them times 100.

    ``queries``, ``videos``: ids, one of each per row of statistics ("" for a video that is not known).  ``measures``:
    {metric: `Measure`} in the protocol's order.  ``counts`` (Q, 2): numbers of predicted and of true windows.
    ``ranges``: how many queries have a true window of each range of lengths.  ``coverage``: which queries were scored,
    missing, empty, unknown (`inputs.case.coverage`).  ``left_out``: {metric: reason}.  ``intervals``: {metric:
    `Interval`}, empty without bootstrap.  Results of different queries can be added:
    ``evaluate(half) + evaluate(other_half)``.
    """

    item: ClassVar[str] = "query"
    items: ClassVar[str] = "queries"

    protocol: str
    queries: tuple[str, ...]
    videos: tuple[str, ...] = field(repr=False)
    measures: dict[str, Measure] = field(repr=False)
    rules: Protocol = field(repr=False)
    counts: np.ndarray = field(repr=False)
    ranges: dict[str, int] = field(repr=False)
    coverage: dict[str, Any] = field(repr=False)
    left_out: dict[str, str]
    signature: str
    warnings: tuple[str, ...] = ()
    run: str | None = None
    notes: tuple[str, ...] = ()
    intervals: dict[str, Interval] = field(default_factory=dict, repr=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """The queries."""
        return self.queries

    @cached_property
    def per_query(self) -> dict[str, dict[str, float]]:
        """{id: {metric: score of this query alone}}; a metric that is not about a query is absent."""
        rows: dict[str, dict[str, float]] = {query: {} for query in self.queries}
        for name, measure in self.measures.items():
            counted = np.count_nonzero(measure.statistics[:, measure.statistics.shape[1] // 2:], axis=1).tolist()
            for row, takes_part, value in zip(rows.values(), counted, measure.by_video().tolist(), strict=True):
                if takes_part:
                    row[name] = value
        return rows

    @property
    def rows(self) -> dict[str, dict[str, float]]:
        """The table per query, `per_query`."""
        return self.per_query

    @property
    def official(self) -> dict[str, Any]:
        """The scores in the layout of Moment-DETR's evaluation: nested tables, times 100, two decimals."""
        found: dict[str, Any] = {}
        for part in ("full", *self.rules.range_names):
            prefix = "" if part == "full" else f"{part}-"
            table = {"MR-mAP": {label: self._printed(f"{prefix}{name}") for name in self.rules.of_part("")
                                if (label := _label(name, "mAP")) and f"{prefix}{name}" in self.scores},
                     "MR-R1": {label: self._printed(f"{prefix}{name}") for name in self.rules.of_part("")
                               if (label := _label(name, "R1")) and f"{prefix}{name}" in self.scores}}
            if any(table.values()):
                found[part] = table
        for level in LEVELS:
            values = {f"HL-{kind}": self._printed(f"HL-{kind}-{level}") for kind in ("mAP", "Hit1")
                      if f"HL-{kind}-{level}" in self.scores}
            if values:
                found[f"HL-min-{level}"] = values
        return found

    def _printed(self, name: str) -> float:
        return float(f"{100 * self.scores[name]:.2f}")

    def drawn(self, unit: Unit = "videos") -> Drawn:
        """The statistics summed over the queries of each video, or as they are.

        Queries of one video are not independent, so ``videos`` gives honest intervals.  Queries whose video is not
        known stand for themselves.
        """
        parts = parts_of(self.signature) | {"over": unit}
        if unit == "queries":
            return Drawn(self.queries, self.measures, of_parts(parts))
        names = [video or f"query {query}" for video, query in zip(self.videos, self.queries, strict=True)]
        places = {name: at for at, name in enumerate(dict.fromkeys(names))}
        rows = np.array([places[name] for name in names])
        summed = {name: replace(measure, statistics=np.stack(
            [np.bincount(rows, weights=column, minlength=len(places)) for column in measure.statistics.T], axis=1))
            for name, measure in self.measures.items()}
        return Drawn(tuple(places), summed, of_parts(parts | {"cov": f"{len(places)}/{len(places)}"}))

    def with_intervals(self, samples: int = 1000, seed: int = 0, unit: Unit = "videos") -> "Result":
        """The same result with 95 % percentile bootstrap intervals over videos or queries, noted in the signature."""
        found = bootstrap(self.drawn(unit).measures, samples, seed)
        parts = parts_of(self.signature) | {"boot": f"{samples},seed={seed},{unit}"}
        return replace(self, intervals=found, signature=of_parts(parts))

    def __add__(self, other: "Result") -> "Result":
        """The result for both sets of queries.  Raises UserError if they share queries or were scored differently."""
        self.check_addable(other)
        return _add(self, other)

    def to_json(self) -> dict[str, Any]:
        """The content of a metrics file: plain data."""
        content = {
            "task": "moments", "protocol": self.protocol, "signature": self.signature, "run": self.run,
            "scores": self.scores, "coverage": self.coverage, "ranges": self.ranges, "left_out": self.left_out,
            "warnings": list(self.warnings), "notes": list(self.notes), "moment_detr": self.official,
            "per_query": self.per_query}
        if self.intervals:
            content["intervals"] = {name: [one.low, one.high] for name, one in self.intervals.items()}
        return content

    def to_csv(self) -> str:
        """The table per query: ids, numbers of windows, every metric; empty where it is not about the query."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["query", "video", "predictions", "windows", *self.measures])
        for (query, row), video, counts in zip(self.per_query.items(), self.videos, self.counts.tolist(), strict=True):
            writer.writerow([query, video, *counts, *(row.get(name, "") for name in self.measures)])
        return stream.getvalue()

    def text(self) -> str:
        """The result for the terminal."""
        return tables.text(self)

    def caveats(self) -> list[str]:
        """What to know beside the scores, one line each."""
        return tables.caveats(self)

    def coverage_lines(self) -> list[str]:
        """Which queries were scored, and metrics left out with the reason."""
        return tables.coverage_lines(self)

    @staticmethod
    def tabulate(results: "Sequence[Result]", decimals: int, labels: Sequence[str] = (),
                 ) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of several results (`tables.result_table`)."""
        return tables.result_table(results, decimals, labels)

    def __str__(self) -> str:
        """A table in per cent, with coverage, warnings and the signature."""
        return self.text()


def _label(name: str, kind: str) -> str:
    """How Moment-DETR's tables call a score of a kind; empty for those of other kinds."""
    if name == "mAP" and kind == "mAP":
        return "average"
    if name == "mIoU" and kind == "R1":
        return "miou"
    own, _, threshold = name.partition("@")
    return threshold if own == kind else ""


def _add(one: Result, two: Result) -> Result:
    """The rows of both, the first one's before the other's; scores that only one has get rows of zeros."""
    measures = {}
    for name in one.rules.metrics:
        found = [result.measures.get(name) for result in (one, two)]
        known = next((measure for measure in found if measure is not None), None)
        if known is not None:
            width = known.statistics.shape[1]
            measures[name] = replace(known, statistics=np.concatenate(
                [np.zeros((len(result.queries), width)) if measure is None else measure.statistics
                 for measure, result in zip(found, (one, two), strict=True)]))
    known_ids = [{*result.queries} for result in (one, two)]
    covered = {name: value + two.coverage[name] for name, value in one.coverage.items()}
    covered["unknown"] = [name for result, others in zip((one, two), reversed(known_ids), strict=True)
                          for name in result.coverage["unknown"] if name not in others]
    parts, others = parts_of(one.signature), parts_of(two.signature)
    parts.pop("boot", None)
    refs = "+".join(sorted({parts["refs"], others["refs"]}))
    return Result(
        protocol=one.protocol, queries=one.queries + two.queries, videos=one.videos + two.videos, measures=measures,
        rules=one.rules, counts=np.concatenate([one.counts, two.counts]),
        ranges={name: count + two.ranges[name] for name, count in one.ranges.items()}, coverage=covered,
        left_out={name: reason for name, reason in (one.left_out | two.left_out).items() if name not in measures},
        warnings=tuple(dict.fromkeys(one.warnings + two.warnings)), notes=tuple(dict.fromkeys(one.notes + two.notes)),
        signature=of_parts(parts | {"refs": refs, "cov": f"{covered['scored']}/{covered['queries']}"}))
