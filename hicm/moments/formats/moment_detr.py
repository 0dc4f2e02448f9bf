"""Submissions of Moment-DETR and its successors: json lines, or a json list, of one query each."""

from collections.abc import Mapping
from typing import Any

from hicm.errors import UserError
from hicm.moments.formats import _checks
from hicm.moments.records import Prediction, Submission
from hicm.source import Source

FORM = 'json lines of {"qid", "pred_relevant_windows": [[start, end, score]], "pred_saliency_scores": [score]}'
SIDE = "predictions"
WINDOWS, SALIENCY = "pred_relevant_windows", "pred_saliency_scores"


def matches(source: Source) -> bool:
    """Whether the first row predicts windows, or scores of clips, for a query."""
    first = source.rows[0] if source.rows else {}
    return "qid" in first and (WINDOWS in first or SALIENCY in first)


def read(source: Source) -> Submission:
    """Every row is a query; all rows have windows, or none has, and the same holds for scores of clips."""
    rows = _checks.rows_of(source)
    found: dict[str, Prediction] = {}
    for place, row in enumerate(rows, start=1):
        name = _checks.new_id(row.get("qid"), found, f"{source.where}: row {place}")
        where = f"{source.where}: query {name}"
        for key in (WINDOWS, SALIENCY):
            if (key in row) != (key in rows[0]):
                has = "has" if key in row else "has no"
                raise UserError(f"{where}: {has} {key!r}, unlike the first row; write it for every query or for none")
        found[name] = _prediction(row, where)
    runs = {row.get("run") for row in rows}
    run = runs.pop() if len(runs) == 1 else None
    return Submission(found, "moment_detr", run if isinstance(run, str) else None)


def _prediction(row: Mapping[str, Any], where: str) -> Prediction:
    windows = saliency = None
    if WINDOWS in row:
        windows = _checks.numbers(row[WINDOWS], 3, f"{where}: {WINDOWS}", "[start, end, score]")
    if SALIENCY in row:
        saliency = _checks.column(row[SALIENCY], f"{where}: {SALIENCY}")
        if not len(saliency):
            raise UserError(f"{where}: {SALIENCY} is empty, expected a score for every clip")
    return Prediction(windows, saliency, _checks.text(row.get("vid")))
