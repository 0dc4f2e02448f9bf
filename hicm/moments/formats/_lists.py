"""Annotations by video with a list of spans and a list of sentences: what Charades-CD, Charades-CG and TACoS share."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from hicm.errors import UserError
from hicm.moments.cleaning import Cleaning
from hicm.moments.formats import _checks
from hicm.moments.records import Annotations, Query
from hicm.source import Source
from hicm.values import kind_of


class Row(NamedTuple):
    """One sentence: its number from 1 among all of the file, video and its entry, span as the file has it, text."""

    number: int
    video: str
    entry: Mapping[str, Any]
    span: tuple[float, float]
    sentence: str
    where: str


def rows(source: Source) -> Iterator[Row]:
    """Every sentence of every video in turn.  Raises UserError naming the video and item that is none."""
    number = 0
    for video, entry in source.data.items():
        where = f"{source.where}: video {video}"
        if not isinstance(entry, Mapping):
            raise UserError(f"{where}: {kind_of(entry)}, expected a mapping with 'timestamps' and 'sentences'")
        spans, sentences = (_checks.list_of(entry.get(key), f"{where}: {key}", "a list")
                            for key in ("timestamps", "sentences"))
        if len(spans) != len(sentences):
            raise UserError(f"{where}: {len(spans)} timestamps but {len(sentences)} sentences; expected as many")
        for at, (span, sentence) in enumerate(zip(spans, sentences, strict=True)):
            number += 1
            yield Row(number, str(video), entry, _checks.window(span, f"{where}, item {at}"), _checks.text(sentence),
                      f"{where}, item {at}")


def read_lists(source: Source, name: str, duration_of: Callable[[Row], float]) -> Annotations:
    """Annotations in seconds, cleaned.  Ids count all sentences from 1, those that are skipped too."""
    queries, cleaning = [], Cleaning()
    for row in rows(source):
        duration = duration_of(row)
        span = cleaning.clean(*row.span, duration)
        if span is not None:
            queries.append(Query(str(row.number), row.sentence, row.video, duration, np.array([span])))
    return Annotations(tuple(queries), name, dict(cleaning.counts))
