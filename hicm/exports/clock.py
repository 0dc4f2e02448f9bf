"""Times as text, and events as cues that players accept."""

from collections.abc import Iterable
from dataclasses import dataclass

from hicm.types import Event


@dataclass(frozen=True)
class Cue:
    """One line of a subtitle file; milliseconds, start < end."""

    start: int
    end: int
    text: str


def cues(events: Iterable[Event]) -> list[Cue]:
    """Events in order of time, in milliseconds; white space becomes single blanks, empty texts are left out.

    An event shorter than a millisecond lasts one.
    """
    found = []
    for event in events:
        start, end = (max(round(second * 1000), 0) for second in (event.span.start, event.span.end))
        text = " ".join(event.text.split()).replace("-->", "→")
        if text:
            found.append(Cue(start, max(end, start + 1), text))
    return sorted(found, key=lambda cue: (cue.start, cue.end))


def clock(milliseconds: int, point: str = ".") -> str:
    """``HH:MM:SS.mmm``, hours with two digits or more.

    >>> clock(3_723_004), clock(5, ",")
    ('01:02:03.004', '00:00:00,005')
    """
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
