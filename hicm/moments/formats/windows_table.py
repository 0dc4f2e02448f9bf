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
    about: dict[str, _table.Rows] = {}
    durations: dict[str, float] = {}
    for line in _table.lines(source):
        name = _checks.query_id(line.cells["query"], line.where)
        start, end = line.seconds("start"), line.seconds("end")
        if end < start:
            raise UserError(f"{line.where}: query {name}: ends at {end:g}, before its start {start:g}; exchange them")
        about.setdefault(name, _table.Rows(name)).add(line, ("video", "duration", "sentence"))
        if line.cells["duration"]:
            durations[name] = _checks.positive(line.seconds("duration"), line.where, "duration")
        spans.setdefault(name, []).append((start, end))
    return Annotations(tuple(
        Query(name, about[name].cell("sentence"), about[name].cell("video"), durations.get(name), np.array(own))
        for name, own in spans.items()), "windows_table")
