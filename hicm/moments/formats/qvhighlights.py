"""Annotations of QVHighlights: json lines, one query each (Lei et al., NeurIPS 2021)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hicm.errors import UserError, brief
from hicm.moments.formats import _checks
from hicm.moments.records import Annotations, Query
from hicm.source import Source

FORM = 'json lines of {"qid", "query", "vid", "duration", "relevant_windows", "relevant_clip_ids", "saliency_scores"}'
SIDE = "annotations"
CLIP = 2.0  # seconds of a rated clip


def matches(source: Source) -> bool:
    """Whether the first row is a query that is not predicted."""
    first = source.rows[0] if source.rows else {}
    return "qid" in first and ("relevant_windows" in first or {"query", "duration"} <= set(first)) and not any(
        key.startswith("pred_") for key in map(str, first))


def read(source: Source) -> Annotations:
    """Every row is a query; the test release has no windows and ratings, so these are empty and None."""
    queries: dict[str, Query] = {}
    for place, row in enumerate(_checks.rows_of(source), start=1):
        name = _checks.new_id(row.get("qid"), queries, f"{source.where}: row {place}")
        where = f"{source.where}: query {name}"
        duration = _checks.positive(row.get("duration"), where, "duration")
        windows = _checks.numbers(row.get("relevant_windows", []), 2, f"{where}: relevant_windows",
                                  "[start, end] in seconds")
        clips, ratings = _ratings(row, duration, where)
        queries[name] = Query(name, _checks.text(row.get("query")), _checks.text(row.get("vid")), duration, windows,
                              clips, ratings)
    return Annotations(tuple(queries.values()), "qvhighlights")


def _ratings(row: Mapping[str, Any], duration: float, where: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The rated clips and their ratings; None for both where the row has neither."""
    if "relevant_clip_ids" not in row and "saliency_scores" not in row:
        return None, None
    clips = _checks.list_of(row.get("relevant_clip_ids"), f"{where}: relevant_clip_ids", "a list of clips")
    scores = _checks.list_of(row.get("saliency_scores"), f"{where}: saliency_scores", "a list of ratings")
    if len(clips) != len(scores):
        raise UserError(f"{where}: {len(clips)} relevant_clip_ids but {len(scores)} saliency_scores; expected one "
                        "rating of each annotator for each clip")
    for clip in clips:
        if type(clip) is not int or not 0 <= clip < duration / CLIP:
            raise UserError(f"{where}: clip {brief(clip)}, expected whole numbers from 0, of clips of {CLIP:g} s in a "
                            f"video of {duration:g} s")
    if len(set(clips)) < len(clips):
        again = next(clip for clip in clips if clips.count(clip) > 1)
        raise UserError(f"{where}: relevant_clip_ids: clip {again} is listed twice; keep one of its ratings")
    return (np.array(clips, dtype=np.int64),
            _checks.numbers(scores, 3, f"{where}: saliency_scores", "the ratings of three annotators"))
