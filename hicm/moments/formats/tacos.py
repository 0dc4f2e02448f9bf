"""Annotations of TACoS as 2D-TAN prepared them: a json object by video, times in frames.  Ids count from 1."""

from collections import Counter

import numpy as np

from hicm.moments.formats import _checks, _lists
from hicm.moments.records import Annotations, Query
from hicm.source import Source

FORM = '{video: {"timestamps" in frames, "sentences", "fps", "num_frames"}}'
SIDE = "annotations"


def matches(source: Source) -> bool:
    """Whether the first video has spans, sentences, a frame rate and a number of frames."""
    return _checks.by_video(source, ("timestamps", "sentences", "fps", "num_frames"))


def read(source: Source) -> Annotations:
    """Every sentence of every video in turn, in seconds.

    A span that starts after it ends is skipped; the others are cut to the video.
    """
    queries: list[Query] = []
    counts = Counter[str]()
    for row in _lists.rows(source):
        rate = _checks.positive(row.entry.get("fps"), row.where, "fps")
        duration = _checks.positive(row.entry.get("num_frames"), row.where, "num_frames") / rate
        first, last = row.span
        if first > last:
            counts["queries skipped (start after end)"] += 1
            continue
        start, end = max(first / rate, 0.0), min(last / rate, duration)
        counts["spans cut to the video"] += (start, end) != (first / rate, last / rate)
        queries.append(Query(str(len(queries) + 1), row.sentence, row.video, duration, np.array([[start, end]])))
    return Annotations(tuple(queries), "tacos", {what: count for what, count in counts.items() if count})
