"""Explains the scores of one query in words: which window matches which true one, and which clips are highlights."""

from collections.abc import Iterator

import numpy as np

from hicm.evaluation.signatures import number
from hicm.moments.records import Annotations, Submission
from hicm.moments_eval.inputs.case import build_case
from hicm.moments_eval.inputs.protocols import LEVELS
from hicm.moments_eval.metrics.assemble import in_range
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
    only = Annotations((one,), annotations.format)
    case = build_case(only, submission, result.rules)
    lines += _true(result, only, submission)
    if not case.listed[0]:
        lines.append("predicted without windows" if query in submission.predictions else "not predicted: counts as 0")
    else:
        lines += _windows(result, only, submission)
    scores = case.saliency[0]
    if one.ratings is not None and one.clips is not None and scores is not None:
        ratings = dict(zip(one.clips.tolist(), one.ratings.tolist(), strict=True))
        lines += _clips(result, scores, ratings)
    own = result.per_query[query]
    lines += [f"{name} {100 * own[name]:.2f}" for name in own if "@" not in name]
    return "\n".join(lines)


def _true(result: Result, only: Annotations, submission: Submission) -> Iterator[str]:
    true = build_case(only, submission, result.rules).true
    names = {part: in_range(true, ends) for part, ends in result.rules.range_ends.items()}
    for at, window in enumerate(true.rows[0, :true.counts[0]]):
        part = next((part for part, own in names.items()
                     if (own.rows[0, :own.counts[0]] == window).all(axis=1).any()), "of no range")
        yield f"true window {at} [{window[0]:g}, {window[1]:g}], {part}"


def _windows(result: Result, only: Annotations, submission: Submission) -> Iterator[str]:
    """The windows that count for mAP; the matching is that of all lengths."""
    case = build_case(only, submission, result.rules)
    first = best_overlaps(case.first, case.true.rows, case.true.real)[0]
    chosen = "first listed" if result.rules.order == "listed" else "best scored"
    yield f"R1 and mIoU: the {chosen} window [{case.first[0, 0]:g}, {case.first[0, 1]:g}], IoU {first:.3f}"
    tious = np.array(result.rules.tious)
    overlap = cross_iou(case.predicted.rows, case.true.rows)[0]
    takes = match(overlap[None], tious)[0]
    for at, (start, end, score) in enumerate(case.predicted.rows[0, :case.predicted.counts[0]].tolist()):
        best = int(overlap[at].argmax())
        line = f"window {at} [{start:g}, {end:g}] score {score:g}: "
        if not overlap[at, best]:
            yield f"{line}overlaps no true window"
            continue
        line += f"IoU {overlap[at, best]:.3f} with true window {best}"
        hits = [f"true window {true} at IoU {_list(tious[takes[at] == true])}" for true in
                np.unique(takes[at][takes[at] >= 0]).tolist()]
        yield f"{line}; matches {' and '.join(hits) if hits else 'none'}"
    left = case.listed[0] - case.predicted.counts[0]
    if left:
        yield f"{left} more windows do not count for mAP: it uses {result.rules.max_windows}"


def _list(tious: np.ndarray) -> str:
    return f"{number(tious[0])} to {number(tious[-1])}" if len(tious) > 1 else number(tious[0])


def _clips(result: Result, scores: np.ndarray, ratings: dict[int, list[float]]) -> Iterator[str]:
    levels = ", ".join(f"{level} from {rating}" for level, rating in LEVELS.items())
    yield f"clips of {result.rules.clip_length:g} s with the highest scores, and their ratings ({levels})"
    for clip in np.argsort(-scores, kind="stable")[:CLIPS].tolist():
        given = ", ".join(f"{rating:g}" for rating in ratings.get(clip, [])) or "not relevant"
        yield f"    clip {clip}, from {clip * result.rules.clip_length:g} s, score {scores[clip]:g}: {given}"
