"""Predictions of moments that ``hicm predict`` wrote: ``results`` by video, a list of queries each."""

from collections.abc import Mapping
from typing import Any

from hicm.errors import UserError
from hicm.moments.formats import _checks
from hicm.moments.records import Prediction, Submission
from hicm.source import Source
from hicm.values import kind_of

FORM = '{"results": {video: [{"qid", "windows": [[start, end, score]], "saliency": [score of each clip]}]}}'
SIDE = "predictions"


def matches(source: Source) -> bool:
    """Whether there are results by video, the first of which is a query with windows."""
    results = source.data.get("results") if isinstance(source.data, Mapping) else None
    if not isinstance(results, Mapping):
        return False
    rows = (row for rows in results.values() if isinstance(rows, list) for row in rows)
    first = next(rows, None)
    return isinstance(first, Mapping) and {"qid", "windows"} <= set(first)


def read(source: Source) -> Submission:
    """Every query of every video in turn."""
    found: dict[str, Prediction] = {}
    for video, rows in source.data["results"].items():
        for place, row in enumerate(_checks.list_of(rows, f"{source.where}: video {video}", "a list of queries")):
            where = f"{source.where}: video {video}: item {place}"
            if not isinstance(row, Mapping):
                raise UserError(f"{where}: {kind_of(row)}, expected a query with its windows")
            name = _checks.new_id(row.get("qid"), found, where)
            found[name] = _prediction(row, str(video), f"{where}: query {name}")
    run = source.data.get("run")
    return Submission(found, "hicm_run", run if isinstance(run, str) else None)


def _prediction(row: Mapping[str, Any], video: str, where: str) -> Prediction:
    windows = _checks.numbers(row.get("windows"), 3, f"{where}: windows", "[start, end, score]")
    saliency = _checks.column(row["saliency"], f"{where}: saliency") if "saliency" in row else None
    return Prediction(windows, saliency, video)
