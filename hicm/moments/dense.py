"""Annotated videos and queries: dense captions are queries with one moment each, and moments are events."""

from collections.abc import Iterable

import numpy as np

from hicm.moments.cleaning import Cleaning
from hicm.moments.records import Annotations, Query
from hicm.types import Event, Span, Video


def queries_of(video: Video) -> tuple[Query, ...]:
    """The queries of a video.

    Of dense captions each is one, cleaned (`hicm.moments.cleaning`): its id is its number in the file, from 1, as in
    Charades-CG.
    """
    if video.queries is not None:
        return video.queries
    cleaning, duration = Cleaning(), video.duration if video.duration == video.duration else None
    spans = (cleaning.clean(event.span.start, event.span.end, duration) for event in video.events)
    return tuple(Query(str(number), event.text, video.id, duration, np.array([span]))
                 for number, (event, span) in enumerate(zip(video.events, spans, strict=True), start=video.first)
                 if span is not None)


def to_videos(annotations: Annotations) -> dict[str, Video]:
    """Videos by id, in the order of their first queries; every moment of a query is an event.

    A video's duration is NaN where the file does not give it.
    """
    found: dict[str, list[Query]] = {}
    for query in annotations.queries:
        found.setdefault(query.video, []).append(query)
    return {video: Video(video, _duration(queries), tuple(_events(queries)), queries=tuple(queries))
            for video, queries in found.items()}


def to_annotations(videos: Iterable[Video], format: str = "videos") -> Annotations:
    """The queries of several videos."""
    return Annotations(tuple(query for video in videos for query in queries_of(video)), format)


def _duration(queries: list[Query]) -> float:
    return next((query.duration for query in queries if query.duration is not None), float("nan"))


def _events(queries: list[Query]) -> Iterable[Event]:
    return (Event(Span(start, end), query.text) for query in queries for start, end in query.windows.tolist())
