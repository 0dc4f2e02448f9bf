"""Results: statistics per video, and scores as pure functions of their sums; frozen, can be added and printed."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hicm.dvc_eval.inputs.amounts import Amount
from hicm.dvc_eval.inputs.protocols import F1_NAMES, Protocol
from hicm.dvc_eval.metrics.part import Columns, EventPairs
from hicm.dvc_eval.results import tables
from hicm.errors import UserError
from hicm.evaluation.intervals import Interval, bootstrap
from hicm.evaluation.measures import Measure, divide, harmonic_mean
from hicm.evaluation.result import Scored, join_measures
from hicm.evaluation.signatures import of_parts, parts_of


@dataclass(frozen=True)
class EventPair:
    """A prediction compared with an event: indices in the lists of their files, IoU, scores of the pair alone.

    ``annotator`` and ``event`` are None for a prediction compared with the unmatched string, at the thresholds above
    ``iou``, its best overlap.
    """

    prediction: int
    annotator: int | None
    event: int | None
    iou: float
    scores: dict[str, float]


@dataclass(frozen=True, eq=False)
class Result(Scored):
    """What `evaluate` returns.  Scores are fractions, CIDEr 0..10; papers print them times 100.

    ``measures``: {metric: `Measure`} in the protocol's order.  ``columns``: {metric: values and counts (V,
    thresholds)}.  ``counts`` (V, 1 + A): numbers of predicted events and of each annotator's.  ``coverage``: which
    videos were scored, missing, empty, unknown (`inputs.case.coverage`).  ``left_out``: {metric: reason}.
    ``with_missing``: the measures with missing videos counted as 0, if the protocol leaves them out and there are any.
    ``amounts``: how many events each side has and how many captions repeat (`inputs.amounts`).  ``notes``: scores that
    are 0 by their formula, why, and what to do.
    ``intervals``: {metric: `Interval`}, empty without bootstrap.  Results of different videos can be added:
    ``evaluate(half) + evaluate(other_half)``.
    """

    item: ClassVar[str] = "video"
    items: ClassVar[str] = "videos"

    protocol: str
    videos: tuple[str, ...]
    measures: dict[str, Measure] = field(repr=False)
    columns: Columns = field(repr=False)
    pairs: EventPairs | None = field(repr=False)
    rules: Protocol = field(repr=False)
    counts: np.ndarray = field(repr=False)
    coverage: dict[str, Any] = field(repr=False)
    left_out: dict[str, str]
    signature: str
    warnings: tuple[str, ...] = ()
    run: str | None = None
    amounts: dict[str, Amount] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    with_missing: dict[str, Measure] = field(default_factory=dict, repr=False)
    intervals: dict[str, Interval] = field(default_factory=dict, repr=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """The videos."""
        return self.videos

    @property
    def missing_as_zero(self) -> dict[str, float]:
        """The scores if missing videos counted as 0; empty unless the protocol leaves them out and there are any."""
        return {name: measure.score() for name, measure in self.with_missing.items()}

    @property
    def thresholds(self) -> tuple[str, ...]:
        """Labels of the columns: IoUs (``0.3``), then distances (``1s``)."""
        return self.rules.thresholds

    @cached_property
    def per_threshold(self) -> dict[str, tuple[float, ...]]:
        """{metric: values per threshold}: IoUs and, for Recall, Precision and F1, distances."""
        found = {name: divide(values.sum(axis=0), counts.sum(axis=0)) for name, (values, counts) in
                 self.columns.items()}
        if "Recall" in found and self.rules.f1 == "per-threshold":
            found["F1"] = harmonic_mean(found["Precision"], found["Recall"])
        return {name: tuple(values.tolist()) for name, values in found.items()}

    @cached_property
    def per_video(self) -> dict[str, dict[str, float]]:
        """{id: {metric: score of this video alone}}, as means over the IoU thresholds.

        Without F1 that is computed from averaged precision and recall.  A metric that leaves a video out is absent.
        """
        table: dict[str, Iterable[tuple[bool, float]]] = {}
        for name, measure in self.measures.items():
            if "@" not in name and (not name.startswith("F1") or name == F1_NAMES["per-video"]):
                table[name] = zip((np.count_nonzero(measure.statistics, axis=1) > 0).tolist(),
                                  measure.by_video().tolist(), strict=True)
        rows: dict[str, dict[str, float]] = {video: {} for video in self.videos}
        for name, column in table.items():
            for row, (takes_part, value) in zip(rows.values(), column, strict=True):
                if takes_part:
                    row[name] = value
        return rows

    @cached_property
    def per_video_thresholds(self) -> dict[str, dict[str, dict[str, float]]]:
        """{id: {threshold: {metric: value}}}."""
        tables_of = {name: divide(*column).tolist() for name, column in self.columns.items()}
        return {video: {label: {name: values[row][place] for name, values in tables_of.items()
                                if place < len(values[row])} for place, label in enumerate(self.thresholds)}
                for row, video in enumerate(self.videos)}

    @cached_property
    def video_table(self) -> dict[str, dict[str, dict[str, float]]]:
        """{id: {"mean" or threshold: {metric: value}}}: each video scored alone, by every metric.

        "mean": what the run prints for all videos, here of one.  METEOR, CIDEr, ROUGE-L, BLEU, precision, recall and,
        unless averaged over files, SODA of the data set are the means over the videos that have them.  F1 is not, but
        comes from averaged precision and recall; neither are paragraphs and clips, which are scored as one corpus.
        """
        found: dict[str, dict[str, dict[str, float]]] = {
            video: {"mean": {}} | {label: dict(values) for label, values in table.items() if values}
            for video, table in self.per_video_thresholds.items()}
        for name, measure in self.measures.items():
            metric, _, label = name.partition("@")
            for video, row, value in zip(self.videos, measure.statistics, measure.by_video().tolist(), strict=True):
                if row.any():
                    found[video].setdefault(label or "mean", {})[metric] = value
        return found

    def event_pairs(self, video: str) -> list[EventPair]:
        """Which predictions of a video match which events, with the scores of each pair.

        Raises UserError for an unknown id, and for a protocol that does not compare captions by event.
        """
        place = self.place_of(video)
        if self.pairs is None:
            raise UserError(f"video {video}: no captions were compared event by event under {self.protocol}")
        pairs = self.pairs
        chosen = np.flatnonzero(pairs.video == place)
        return [EventPair(
            int(pairs.prediction[at]), None if pairs.event[at] < 0 else int(pairs.annotator[at]),
            None if pairs.event[at] < 0 else int(pairs.event[at]),
            float(pairs.low[at] if pairs.event[at] < 0 else pairs.iou[at]),
            {name: float(values[at]) for name, values in pairs.scores.items()}) for at in chosen.tolist()]

    def with_intervals(self, samples: int = 1000, seed: int = 0) -> "Result":
        """The same result with 95 % percentile bootstrap intervals over videos, noted in the signature."""
        return replace(self, intervals=bootstrap(self.measures, samples, seed),
                       signature=of_parts(parts_of(self.signature) | {"boot": f"{samples},seed={seed}"}))

    def __add__(self, other: "Result") -> "Result":
        """The result for both sets of videos.  Raises UserError if they share videos or were scored differently."""
        self.check_addable(other)
        if set(self.measures) != set(other.measures):
            raise UserError(f"results were scored by different rules: {self.signature} and {other.signature}")
        fixed = [name for name, measure in self.measures.items() if not measure.additive]
        if fixed:
            raise UserError(f"{', '.join(fixed)} count n-grams over the whole data set, so results cannot be added; "
                            "leave them out of metrics")
        return _add(self, other)

    def to_json(self) -> dict[str, Any]:
        """The content of a metrics file: plain data, without the tables per video and threshold."""
        content = {
            "protocol": self.protocol, "signature": self.signature, "run": self.run, "scores": self.scores,
            "coverage": self.coverage, "events": {side: one.to_json() for side, one in self.amounts.items()},
            "left_out": self.left_out, "warnings": list(self.warnings), "notes": list(self.notes),
            "thresholds": list(self.thresholds),
            "per_threshold": {name: list(values) for name, values in self.per_threshold.items()},
            "per_video": self.per_video,
        }
        if self.intervals:
            content["intervals"] = {name: [one.low, one.high] for name, one in self.intervals.items()}
        if self.missing_as_zero:
            content["missing_as_zero"] = self.missing_as_zero
        return content

    def to_csv(self) -> str:
        """The table per video: id, numbers of events, every metric at every threshold; empty where it is left out."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        rows = list(self._video_rows())
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer.writerow(names)
        writer.writerows([row.get(name, "") for name in names] for row in rows)
        return stream.getvalue()

    @property
    def rows(self) -> dict[str, dict[str, dict[str, float]]]:
        """The table per video, `video_table`."""
        return self.video_table

    def text(self) -> str:
        """The result for the terminal, without notes."""
        return tables.text(self)

    def caveats(self) -> list[str]:
        """What to know beside the scores, one line each."""
        return tables.caveats(self)

    def coverage_lines(self) -> list[str]:
        """Which videos were scored, the scores with missing ones counted as 0, and metrics left out."""
        return tables.coverage_lines(self)

    @staticmethod
    def tabulate(results: "Sequence[Result]", decimals: int, labels: Sequence[str] = (),
                 ) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of several results (`tables.result_table`)."""
        return tables.result_table(results, decimals, labels)

    def __str__(self) -> str:
        """A table in per cent, with coverage, warnings, notes and the signature."""
        return "\n".join([tables.text(self), *(f"note: {note}" for note in self.notes)])

    def _video_rows(self) -> Iterator[dict[str, Any]]:
        for (video, table), numbers in zip(self.video_table.items(), self.counts.tolist(), strict=True):
            row: dict[str, Any] = {"video": video, "predictions": numbers[0]}
            row |= {f"events_{file}" if len(numbers) > 2 else "events": count
                    for file, count in enumerate(numbers[1:], start=1)}
            for label, values in table.items():
                row |= values if label == "mean" else {f"{name}@{label}": value for name, value in values.items()}
            yield row


def _add(one: Result, two: Result) -> Result:
    """The rows of both, sorted by video."""
    order = np.argsort(np.array([*one.videos, *two.videos], dtype=object), kind="stable")

    def rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.concatenate([first, second])[order]

    if any(measure.statistics.shape[1:] != two.measures[name].statistics.shape[1:]
           for name, measure in one.measures.items()):
        raise UserError("results have different numbers of reference files, so they cannot be added")
    with_missing = {}
    if one.with_missing or two.with_missing:
        with_missing = join_measures(one.with_missing or one.measures, two.with_missing or two.measures,
                                lambda *both: np.concatenate(both))
    covered = _add_coverage(one, two)
    return Result(
        protocol=one.protocol, videos=tuple((*one.videos, *two.videos)[at] for at in order.tolist()), pairs=None,
        rules=one.rules, coverage=covered, counts=rows(one.counts, two.counts),
        measures=join_measures(one.measures, two.measures, rows), with_missing=with_missing,
        columns={name: (rows(values, two.columns[name][0]), rows(counts, two.columns[name][1]))
                 for name, (values, counts) in one.columns.items()},
        left_out=one.left_out | two.left_out, warnings=tuple(dict.fromkeys(one.warnings + two.warnings)),
        notes=tuple(dict.fromkeys(one.notes + two.notes)),
        amounts={side: amount + two.amounts[side] for side, amount in one.amounts.items() if side in two.amounts},
        signature=_add_signatures(one.signature, two.signature, f"{covered['scored']}/{covered['videos']}"))


def _add_coverage(one: Result, two: Result) -> dict[str, Any]:
    """Counts and ids of both; an id that is unknown to one but known to the other is not unknown."""
    known = [{*result.videos, *result.coverage["missing"]} for result in (one, two)]
    unknown = (set(one.coverage["unknown"]) - known[1]) | (set(two.coverage["unknown"]) - known[0])
    found = {name: value + two.coverage[name] if isinstance(value, int) else sorted({*value, *two.coverage[name]})
             for name, value in one.coverage.items()}
    return found | {name: [video for video in found[name] if video in unknown]
                    for name in ("unknown", "unknown_but_for_prefix")}


def _add_signatures(one: str, two: str, coverage: str) -> str:
    """The signature for both, whose rules are equal: digests of both references, joint coverage, no intervals."""
    parts, others = parts_of(one), parts_of(two)
    annotators = parts["refs"].partition("@")[0]
    digests = sorted({part.partition("@")[2] for part in (parts["refs"], others["refs"])})
    parts.pop("boot", None)
    return of_parts(parts | {"refs": f"{annotators}@{'+'.join(digests)}", "cov": coverage})
