"""What readers of all formats find in a file: events by video, checked one by one, and what could not be read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from hicm.errors import UserError

LARGEST = 1e300  # seconds; NaN and infinity are not below it, and an int may be too large for a float
NUMBERS = (float, int, Real)  # the common types first: asking for Real is slow
PLAIN = frozenset([float, int])  # without true and false


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


def plain_span(value: Any) -> tuple[float, float] | None:
    """Start and end in seconds, if they are given as json gives them; None for anything that has to be checked."""
    if type(value) is not list or len(value) != 2:
        return None
    start, end = value
    if type(start) not in PLAIN or type(end) not in PLAIN or not (
            -LARGEST < start < LARGEST and -LARGEST < end < LARGEST):
        return None
    return float(start), float(end)


def check_span(value: Any, where: str) -> tuple[float, float]:
    """Start and end in seconds.  Raises UserError for anything but two finite numbers."""
    if not isinstance(value, list | Sequence | np.ndarray) or isinstance(value, str) or len(value) != 2:
        raise UserError(f"{where}: timestamp {value!r:.60}, expected [start, end] in seconds")
    for number in value:
        if not is_number(number):
            raise UserError(f"{where}: timestamp {value!r:.60}, expected numbers (seconds), found {kind_of(number)}")
    start, end = map(_seconds, value)
    if not (abs(start) < LARGEST and abs(end) < LARGEST):
        raise UserError(f"{where}: timestamp {value!r:.60}, expected finite seconds")
    return start, end


def check_caption(value: Any, where: str) -> str:
    """The caption.  Raises UserError for anything but text."""
    if not isinstance(value, str):
        raise UserError(f"{where}: sentence is {kind_of(value)}, expected text")
    return value


def duration_of(value: Any) -> float | None:
    """A duration in seconds; None for what is no number: nothing is scored by it."""
    return _seconds(value) if is_number(value) and abs(_seconds(value)) < LARGEST else None


def _seconds(number: Any) -> float:
    """A number as float64, so that single precision is compared in double; infinite where it is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """What a json value is, in words."""
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true/false", int: "a number", float: "a number",
             type(None): "null"}
    return names.get(type(value), type(value).__name__)
