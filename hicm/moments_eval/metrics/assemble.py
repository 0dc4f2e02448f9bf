"""The measures of a case: one row of statistics per query and metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hicm.errors import UserError
from hicm.evaluation.measures import Measure, mean_measure
from hicm.evaluation.signatures import number
from hicm.moments.records import Query
from hicm.moments_eval.inputs.case import Case
from hicm.moments_eval.inputs.protocols import LEVELS, Protocol
from hicm.moments_eval.inputs.windows import Padded, pad
from hicm.moments_eval.metrics.highlights import first_hits, rank_quality
from hicm.moments_eval.metrics.overlaps import best_overlaps
from hicm.moments_eval.metrics.precision import average_precision

MOST_CLIPS = 10_000  # of a video: tables have a row for each


@dataclass(frozen=True)
class Made:
    """Measures by name, reasons for what is left out by name, and how many queries each range of lengths has."""

    measures: dict[str, Measure]
    left_out: dict[str, str]
    ranges: dict[str, int]


def make_measures(case: Case, rules: Protocol, metrics: Sequence[str]) -> Made:
    """Every one of ``metrics`` that these files allow."""
    measures: dict[str, Measure] = {}
    left_out: dict[str, str] = {}
    ranges: dict[str, int] = {}
    for part, ends in {"": (-np.inf, np.inf), **rules.range_ends}.items():
        true = in_range(case.true, ends)
        if part:
            ranges[part] = int((true.counts > 0).sum())
        wanted = [name for name in rules.of_part(part) if name in metrics]
        if not case.has_windows:
            left_out |= dict.fromkeys(wanted, "the predictions have no windows")
        elif not true.counts.any():
            left_out |= dict.fromkeys(wanted, "no query has a true window of that length")
        else:
            found = _moments(case, true, rules, f"{part}-" if part else "", wanted)
            measures |= {name: found[name] for name in wanted}
    wanted = [name for name in metrics if name.startswith("HL-")]
    reason = _no_highlights(case)
    if reason:
        left_out |= dict.fromkeys(wanted, reason)
    elif wanted:
        highlights = _highlights(case, rules)
        measures |= {name: highlights[name] for name in wanted}
    return Made(measures, left_out, ranges)


def in_range(true: Padded, ends: tuple[float, float]) -> Padded:
    """The true windows that are longer than the first of ``ends`` and no longer than the second."""
    if ends == (-np.inf, np.inf):
        return true
    length = true.rows[..., 1] - true.rows[..., 0]
    return true.where((ends[0] < length) & (length <= ends[1]))


def _moments(case: Case, true: Padded, rules: Protocol, prefix: str, wanted: Sequence[str]) -> dict[str, Measure]:
    """Scores of the queries that have one of these true windows; other queries have rows of zeros."""
    counted = (true.counts > 0).astype(np.float64)[:, None]
    iou = np.where(counted[:, 0] > 0, best_overlaps(case.first, true.rows, true.real), 0.0)[:, None]
    found = {f"{prefix}R1@{number(t)}": mean_measure("", (iou >= t) * counted, counted) for t in rules.recall}
    found[f"{prefix}mIoU"] = mean_measure("", iou, counted)
    if any("mAP" in name for name in wanted):
        precision = average_precision(case.predicted, true, np.array(rules.tious))
        found[f"{prefix}mAP"] = mean_measure("", precision, np.repeat(counted, len(rules.tious), axis=1))
        found |= {f"{prefix}mAP@{number(t)}": mean_measure("", precision[:, at:at + 1], counted)
                  for at, t in enumerate(rules.tious)}
    return {name: Measure(name, one.statistics, one.finish) for name, one in found.items()}


def _no_highlights(case: Case) -> str:
    """Why highlights cannot be scored; empty if they can."""
    if all(query.ratings is None for query in case.queries):
        return "the annotations have no ratings of clips"
    if all(scores is None for scores in case.saliency):
        return "the predictions have no scores of clips"
    return ""


def _highlights(case: Case, rules: Protocol) -> Mapping[str, Measure]:
    ratings = pad([rating_table(query, rules.clip_length) for query in case.queries], _annotators(case))
    none = np.zeros(0)
    given = [none if scores is None else scores for scores in case.saliency]
    best = np.array([scores.argmax() if len(scores) else ratings.rows.shape[1] for scores in given])
    scores = pad([scores[:clips, None] for scores, clips in zip(given, ratings.counts.tolist(), strict=True)], 1).rows
    # Clips without a score have 0, as in the toolkit.
    scores = np.pad(scores[..., 0], ((0, 0), (0, ratings.rows.shape[1] - scores.shape[1])))
    labels = ratings.rows[..., None] >= np.array(list(LEVELS.values()), dtype=float)  # (Q, clips, annotators, levels)
    answered = np.array([one is not None for one in case.saliency])[:, None, None]
    rated = np.array([query.ratings is not None for query in case.queries], dtype=np.float64)[:, None]
    precision = rank_quality(scores, labels, ratings.counts) * answered
    hits = np.any(first_hits(best, labels, ratings.counts), axis=1)
    found = {}
    for at, level in enumerate(LEVELS):
        for kind, values in (("mAP", precision[..., at]), ("Hit1", hits[:, at:at + 1].astype(np.float64))):
            one = mean_measure("", values * rated, np.repeat(rated, values.shape[1], axis=1))
            found[f"HL-{kind}-{level}"] = Measure(f"HL-{kind}-{level}", one.statistics, one.finish)
    return found


def _annotators(case: Case) -> int:
    return next(query.ratings.shape[1] for query in case.queries if query.ratings is not None)


def rating_table(query: Query, clip_length: float) -> np.ndarray:
    """The ratings (clips of the video, annotators) of every clip: 0 for those that are not relevant.

    Raises UserError for a rated clip beyond the video, and for a video of more than MOST_CLIPS.
    """
    if query.clips is None or query.ratings is None or query.duration is None:
        return np.zeros((0, 0 if query.ratings is None else query.ratings.shape[1]))
    clips = query.duration / clip_length
    where = f"query {query.id}: a video of {query.duration:g} s has {int(clips)} clips of {clip_length:g} s"
    if clips > MOST_CLIPS:
        raise UserError(f"{where}, more than {MOST_CLIPS}; correct the duration, or --rule clip_length")
    if len(query.clips) and not query.clips.max() < int(clips):
        raise UserError(f"{where}, but clip {query.clips.max()} is rated; correct the annotations, or --rule "
                        "clip_length")
    table = np.zeros((int(clips), query.ratings.shape[1]))
    table[query.clips] = query.ratings
    return table
