"""Predictions as a csv table, a window per line: ``query_id,start,end,score``."""

import numpy as np

from hicm.moments.formats import _checks, _table
from hicm.moments.records import Prediction, Submission
from hicm.source import Source

FORM = "a .csv or .tsv table whose header names query_id, start, end, score, and perhaps video"
SIDE = "predictions"


def matches(source: Source) -> bool:
    """Whether the header names a query, times and a score."""
    return "score" in _table.columns(source)


def read(source: Source) -> Submission:
    """Every line in turn; the windows of a query keep their order."""
    windows: dict[str, list[list[float]]] = {}
    about: dict[str, _table.Rows] = {}
    for line in _table.lines(source):
        name = _checks.query_id(line.cells["query"], line.where)
        windows.setdefault(name, []).append([line.seconds(key) for key in ("start", "end", "score")])
        about.setdefault(name, _table.Rows(name)).add(line, ("video",))
    return Submission({name: Prediction(np.array(own), video=about[name].cell("video"))
                       for name, own in windows.items()}, "scored_table")
