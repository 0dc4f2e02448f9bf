"""Explains the scores of one query in words: which window matches which true one, and which clips are highlights."""

from collections.abc import Iterator

import numpy as np

from hicm.evaluation.signatures import number
from hicm.moments.records import Annotations, Submission
from hicm.moments_eval.inputs.case import Case, build_case
from hicm.moments_eval.inputs.protocols import LEVELS, Protocol
from hicm.moments_eval.metrics.overlaps import best_overlaps, cross_iou
from hicm.moments_eval.metrics.precision import match
from hicm.moments_eval.results.score import Result

CLIPS = 5  # clips that are listed


def explain(result: Result, annotations: Annotations, submission: Submission, query: str) -> str:
    """What the scores of a query consist of.

    Its true windows with their ranges of lengths; every window that counts, best first, with the true one that it
    matches and up to which IoU; the clips with the highest scores, and how annotators rate them.  ``annotations`` and
    ``submission``: what ``result`` was made from.  Raises UserError for a query that was not scored.
    """
    place = result.place_of(query)
    one = annotations.queries[place]
    about = f", video {one.video}" if one.video else ""
    about += f" of {one.duration:g} s" if one.duration is not None else ""
    lines = [f"query {query} under {result.protocol}{about}: {one.text!r}"]
    case = build_case(Annotations((one,), annotations.format), submission, result.rules)
    lines += _true(case, result.rules)
    if case.listed[0]:
        lines += _windows(case, result.rules)
    else:
        lines.append("predicted without windows" if query in submission.predictions else "not predicted: counts as 0")
    scores = case.saliency[0]
    if one.ratings is not None and one.clips is not None and scores is not None:
        ratings = dict(zip(one.clips.tolist(), one.ratings.tolist(), strict=True))
        lines += _clips(scores, ratings, result.rules.clip_length)
    own = result.per_query[query]
    lines += [f"{name} {100 * own[name]:.2f}" for name in own if "@" not in name]
    return "\n".join(lines)


def _true(case: Case, rules: Protocol) -> Iterator[str]:
    for at, (start, end) in enumerate(case.queries[0].windows.tolist()):
        parts = [part for part, (low, high) in rules.range_ends.items() if low < end - start <= high]
        yield f"true window {at} [{start:g}, {end:g}], {parts[0] if parts else 'of no range'}"


def _windows(case: Case, rules: Protocol) -> Iterator[str]:
    """The windows that count for mAP; the matching is that of all lengths."""
    first = best_overlaps(case.first, case.true.rows, case.true.real)[0]
    chosen = "first listed" if rules.order == "listed" else "best scored"
    yield f"R1 and mIoU: the {chosen} window [{case.first[0, 0]:g}, {case.first[0, 1]:g}], IoU {first:.3f}"
    tious = np.array(rules.tious)
    overlap = cross_iou(case.predicted.rows, case.true.rows)[0]
    takes = match(overlap[None], tious)[0]
    for at, (start, end, score) in enumerate(case.predicted.rows[0, :case.predicted.counts[0]].tolist()):
        best = int(overlap[at].argmax())
        line = f"window {at} [{start:g}, {end:g}] score {score:g}: "
        if not overlap[at, best]:
            yield f"{line}overlaps no true window"
            continue
        hits = [f"true window {true} at IoU {_list(tious[takes[at] == true])}" for true in
                np.unique(takes[at][takes[at] >= 0]).tolist()]
        yield (f"{line}IoU {overlap[at, best]:.3f} with true window {best}; matches "
               f"{' and '.join(hits) if hits else 'none'}")
    left = case.listed[0] - case.predicted.counts[0]
    if left:
        yield f"{left} more windows do not count for mAP: it uses {rules.max_windows}"


def _list(tious: np.ndarray) -> str:
    return f"{number(tious[0])} to {number(tious[-1])}" if len(tious) > 1 else number(tious[0])


def _clips(scores: np.ndarray, ratings: dict[int, list[float]], clip_length: float) -> Iterator[str]:
    levels = ", ".join(f"{level} from {rating}" for level, rating in LEVELS.items())
    yield f"clips of {clip_length:g} s with the highest scores, and their ratings ({levels})"
    for clip in np.argsort(-scores, kind="stable")[:CLIPS].tolist():
        given = ", ".join(f"{rating:g}" for rating in ratings.get(clip, [])) or "not relevant"
        yield f"    clip {clip}, from {clip * clip_length:g} s, score {scores[clip]:g}: {given}"
