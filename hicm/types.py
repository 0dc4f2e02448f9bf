"""The records that all stages share: spans, events, videos.  All times are in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """An interval of a video in seconds.  Order is not enforced: evaluation must accept whatever a model predicts."""

    start: float
    end: float


@dataclass(frozen=True)
class Event:
    """Something that happens: when, and what, in words.

    ``score`` is a model's confidence (None: not given); ``level`` is the granularity, for recursive captioning (None:
    a single level).
    """

    span: Span
    text: str
    score: float | None = None
    level: int | None = None


@dataclass(frozen=True)
class Video:
    """The reference annotation of a video.

    ``duration`` in seconds (NaN: to be taken from its features); events in file order.
    """

    id: str
    duration: float
    events: tuple[Event, ...]
