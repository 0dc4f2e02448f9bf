"""What readers of all formats find in a file: events by video, checked one by one, and what could not be read."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.values import check_span, duration_of, kind_of, plain_span


@dataclass(frozen=True)
class Track:
    """The events of one video in one file, in its order: spans (n, 2) float64 in seconds, and n captions."""

    spans: np.ndarray
    captions: tuple[str, ...]
    duration: float | None = None  # of the video in seconds, where the file gives it

    def __len__(self) -> int:
        return len(self.captions)


Tracks = dict[str, Track]  # by video id


class Reading:
    """The events that a format's reader finds, in the order of the file.

    ``where``: the file, for errors.  ``file_names``: ids are names of video files, with ending.  ``hundredths``: times
    are hundredths of the video's length, not seconds.
    """

    def __init__(self, where: str) -> None:
        self.where, self.file_names, self.hundredths = where, False, False
        self.notes: list[str] = []
        self._events: dict[str, list[tuple[tuple[float, float], str]]] = {}
        self._durations: dict[str, float] = {}
        self._unread: list[str] = []
        self._repeated: list[str] = []

    def start(self, video: object, duration: Any = None) -> str:
        """Begin a video, which may have no events; returns its id.  One that begins twice is read anew, and told."""
        name = self.video(video, duration)
        if self._events[name]:
            self._repeated.append(name)
            self._events[name] = []
        return name

    def video(self, video: object, duration: Any = None) -> str:
        """Begin or continue a video; returns its id.  A duration that is no number is unknown."""
        name = str(video)
        if not name.isascii() and name.encode("utf-8", "ignore").decode() != name:
            raise UserError(f"{self.where}: video {name!a}: holds half a character, which no file can; fix the id")
        self._events.setdefault(name, [])
        known = duration_of(duration)
        if known is not None:
            self._durations[name] = known
        return name

    def add(self, video: str, span: Any, caption: Any) -> None:
        """Add an event of a video that was begun.  Raises UserError naming it for a span or caption that is none."""
        events = self._events[video]
        plain = plain_span(span)
        if plain is None or not isinstance(caption, str):
            here = f"{self.where}: video {video}, event {len(events)}"
            plain, caption = check_span(span, here), check_caption(caption, here)
        events.append((plain, caption))

    def unread(self, line: str, place: str) -> None:
        """Note a line, at ``place`` in the file, that should hold an event but has no times."""
        self._unread.append(f"{place}: {line.strip()!r:.60}")

    def tracks(self, warnings: list[str]) -> Tracks:
        """The events of every video.  Appends to ``warnings`` what was not read; UserError if nothing could be."""
        if self._unread and not any(self._events.values()):
            raise UserError(f"{self.where}: no event was found (first line: {self._unread[0]}); is it the right file?")
        if self._unread:
            few, are = (f"{len(self._unread)} lines", "are") if len(self._unread) > 1 else ("1 line", "is")
            warnings.append(f"{self.where}: {few} without times or without a caption {are} not scored (first: "
                            f"{self._unread[0]})")
        if self._repeated:
            warnings.append(f"{self.where}: {len(self._repeated)} videos occur twice (first: {self._repeated[0]}); the "
                            "last one counts")
        warnings += [f"{self.where}: {note}" for note in self.notes]
        return {video: Track(np.array([span for span, _ in events], dtype=np.float64).reshape(-1, 2),
                             tuple(caption for _, caption in events), self._durations.get(video))
                for video, events in self._events.items()}


def check_caption(value: Any, where: str) -> str:
    """The caption.  Raises UserError for anything but text."""
    if not isinstance(value, str):
        raise UserError(f"{where}: sentence is {kind_of(value)}, expected text")
    return value
