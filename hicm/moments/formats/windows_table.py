"""Annotations as a csv table, a true window per line; lines of one query belong together."""

import numpy as np

from hicm.errors import UserError
from hicm.moments.formats import _checks, _table
from hicm.moments.records import Annotations, Query
from hicm.source import Source

FORM = "a .csv or .tsv table whose header names query_id, start, end, and perhaps video, duration, sentence"
SIDE = "annotations"


def matches(source: Source) -> bool:
    """Whether the header names a query and times, and no score."""
    found = _table.columns(source)
    return bool(found) and "score" not in found


def read(source: Source) -> Annotations:
    """Queries in the order in which they first occur.  Nothing is cleaned; an end before its start is refused."""
    spans: dict[str, list[tuple[float, float]]] = {}
    first: dict[str, _table.Line] = {}
    for line in _table.lines(source):
        name = _checks.query_id(line.cells["query"], line.where)
        start, end = line.seconds("start"), line.seconds("end")
        if end < start:
            raise UserError(f"{line.where}: query {name}: ends at {end:g}, before its start {start:g}; exchange them")
        known = first.setdefault(name, line)
        for key in ("video", "duration"):
            if line.cells[key] != known.cells[key]:
                raise UserError(f"{line.where}: query {name}: {key} {line.cells[key]!r}, but {known.cells[key]!r} in "
                                "an earlier row")
        spans.setdefault(name, []).append((start, end))
    return Annotations(tuple(_query(name, first[name], np.array(own)) for name, own in spans.items()), "windows_table")


def _query(name: str, line: _table.Line, windows: np.ndarray) -> Query:
    duration = _checks.positive(line.seconds("duration"), line.where, "duration") if line.cells["duration"] else None
    return Query(name, line.cells["sentence"], line.cells["video"], duration, windows)
