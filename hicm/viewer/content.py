"""What the viewer shows, as plain records with a json form.  All times are in seconds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from hicm.types import Event, RecalledNode, RecalledPart

Kind = Literal["prediction", "reference", "speech"]
GRACE = 0.5  # seconds by which an event may pass the end of its video because times were rounded


@dataclass(frozen=True)
class Lane:
    """The events of one source, and what was recalled from memory for it."""

    name: str
    kind: Kind
    events: tuple[Event, ...]
    recalled: tuple[RecalledPart, ...] = ()


@dataclass(frozen=True, eq=False)
class View:
    """One video with its lanes."""

    id: str
    duration: float  # seconds
    lanes: tuple[Lane, ...]
    title: str = ""  # default: the id
    source: str = ""  # the video file, as it was given
    video: str | None = None  # its URL relative to the page; None: not known
    frame_rate: float | None = None  # frames per second; None: not known
    size: tuple[int, int] | None = None  # width and height in pixels; None: not known
    sound: bool = False
    made_by: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The JSON that the scripts of the viewer read."""
        return {"id": self.id, "title": self.title or self.id, "source": self.source, "duration": float(self.duration),
                "video": self.video, "picture": {"frame_rate": self.frame_rate,
                                                 "size": None if self.size is None else list(self.size),
                                                 "sound": self.sound},
                "made_by": self.made_by, "lanes": [_lane(lane, self.duration) for lane in self.lanes]}


def _lane(lane: Lane, duration: float) -> dict[str, Any]:
    events = [{"start": float(event.span.start), "end": float(event.span.end), "text": event.text,
               "score": event.score, "level": event.level, "remark": remark(event, duration)} for event in lane.events]
    return {"name": lane.name, "kind": lane.kind, "events": events, "recalled": [
        {"start": float(part.span.start), "end": float(part.span.end), "nodes": _nodes(part.nodes)}
        for part in lane.recalled]}


def _nodes(nodes: Sequence[RecalledNode]) -> list[dict[str, Any]]:
    return [{"level": node.level, "text": node.text, "score": node.score, "source": node.source,
             "replaced": node.replaced, "more": node.more, "below": _nodes(node.below)}
            | ({"lowest": node.lowest} if node.lowest >= 0 else {}) for node in nodes]


def remark(event: Event, duration: float) -> str:
    """What is odd about the times of an event in a video of ``duration`` seconds; empty if nothing is."""
    low, high = sorted((event.span.start, event.span.end))
    odd = ["ends before it starts"] if event.span.end < event.span.start else []
    odd += ["extends beyond the video"] if low < 0 or high > duration + GRACE else []
    return ", ".join(odd)


def address(file: str | Path, folder: str | Path) -> str:
    """The URL of a file for a page in ``folder``: relative and percent-encoded; absolute on another drive.

    Symbolic links are not resolved: a browser resolves ``..`` by name.
    """
    file, folder = os.path.abspath(file), os.path.abspath(folder)
    try:
        relative = os.path.relpath(file, folder)
    except ValueError:  # another drive
        return Path(file).as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")
