"""The records that every stage speaks: spans, events, videos.  Times are seconds everywhere."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """An interval of a video in seconds.  Order is not enforced: evaluation must accept what a model says."""

    start: float
    end: float


@dataclass(frozen=True)
class Event:
    """Something that happens: when, and in words.

    ``score`` is a model's confidence (None: not given); ``level`` the granularity for recursive captioning
    (None: a single level).
    """

    span: Span
    text: str
    score: float | None = None
    level: int | None = None


@dataclass(frozen=True)
class Video:
    """A video's reference annotation: ``duration`` in seconds (NaN: only its features tell), events in file order."""

    id: str
    duration: float
    events: tuple[Event, ...]
