"""Annotations of Charades-STA: a line per query (Gao et al., ICCV 2017).

Ids are line numbers from 0, as Moment-DETR and its successors count.  The videos' durations are in another file, the
csv table of Charades.
"""

import re
from collections.abc import Mapping

import numpy as np

from hicm.errors import UserError
from hicm.moments.cleaning import Cleaning
from hicm.moments.records import Annotations, Query
from hicm.source import Source

FORM = "lines of 'VIDEO START END##sentence'"
SIDE = "annotations"
NEEDS_DURATIONS = True
_LINE = re.compile(r"(\S+)\s+(\d+(?:\.\d*)?|\.\d+)\s+(\d+(?:\.\d*)?|\.\d+)\s*##(.*)")


def matches(source: Source) -> bool:
    """Whether the first line is a query."""
    return source.data is None and _LINE.fullmatch(source.text.lstrip().partition("\n")[0].strip()) is not None


def read(source: Source, durations: Mapping[str, float] | None = None) -> Annotations:
    """Every line in turn, cleaned by the video's duration, where durations are given."""
    queries, cleaning = [], Cleaning()
    for number, line in enumerate(source.text.split("\n")):  # splitlines would break at odd marks in a sentence
        if not line.strip():
            continue
        found, where = _LINE.fullmatch(line.strip()), f"{source.where}: line {number + 1}"
        if found is None:
            raise UserError(f"{where}: {line.strip()!r:.60}, expected 'VIDEO START END##sentence'")
        video, start, end, sentence = found.groups()
        if durations is not None and video not in durations:
            raise UserError(f"{where}: video {video} is not among the {len(durations)} videos with a duration; give "
                            "the csv table of the same split")
        duration = None if durations is None else durations[video]
        span = cleaning.clean(float(start), float(end), duration)
        if span is not None:
            queries.append(Query(str(number), sentence.strip(), video, duration, np.array([span])))
    return Annotations(tuple(queries), "charades_sta", dict(cleaning.counts))
