"""The records that all stages share: spans, events, videos.  All times are in seconds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hicm.moments.records import Query


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

    ``duration`` in seconds (NaN: to be taken from its features); events in file order.  ``first``: the number of its
    first event among those of the file, from 1.  ``queries``: where the file is one of moment retrieval; the events are
    then their moments (`hicm.moments.dense.queries_of` has the queries of either kind).
    """

    id: str
    duration: float
    events: tuple[Event, ...]
    first: int = 1
    queries: "tuple[Query, ...] | None" = None


@dataclass(frozen=True)
class RecalledNode:
    """A node of the memory, or a caption (level 0), that a part of a video recalled.

    Nodes with the same text along one branch, as medoids have, become one entry from ``level`` down to ``lowest``.
    """

    level: int
    text: str
    score: float | None  # cosine to the query; None: only the path to a scored node, or below one
    replaced: str = ""  # the summary that ``text`` replaced, because one of the video's own captions wrote it
    source: str = ""  # of a caption: its video, or how many captions have this text
    below: tuple["RecalledNode", ...] = ()
    more: int = 0  # distinct captions below it that are not shown
    lowest: int = -1  # -1: same as ``level``

    @property
    def reaches(self) -> int:
        """The finest level that this entry covers."""
        return self.level if self.lowest < 0 else self.lowest


@dataclass(frozen=True)
class RecalledPart:
    """What a part of a video recalled from the memory: trees of nodes, coarse to fine."""

    span: Span
    nodes: tuple[RecalledNode, ...]  # the roots
