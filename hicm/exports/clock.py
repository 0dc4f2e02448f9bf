"""Times as text and as frames, and events as cues that players accept."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from hicm.types import Event

# Frame rates that editors know, and that have a time code.
RATES = (Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(48),
         Fraction(50), Fraction(60000, 1001), Fraction(60))
USUAL = Fraction(25)  # where the frame rate is not known


@dataclass(frozen=True)
class Cue:
    """One line of a subtitle file; milliseconds, start < end."""

    start: int
    end: int
    text: str
    event: Event  # what it was made of


def cues(events: Iterable[Event]) -> list[Cue]:
    """Events in order of time, in milliseconds; texts in one line, blank ones are left out.

    An event shorter than a millisecond lasts one.
    """
    found = []
    for event in events:
        start, end = (max(round(second * 1000), 0) for second in (event.span.start, event.span.end))
        text = one_line(event.text).replace("-->", "→")
        if text:
            found.append(Cue(start, max(end, start + 1), text, event))
    return sorted(found, key=lambda cue: (cue.start, cue.end))


def one_line(text: str) -> str:
    """White space, and characters that subtitles or XML cannot hold, become single blanks.

    Those are control characters, lone surrogates, and the two reserved characters of Unicode's basic plane.

    >>> one_line(" a\\n\\x00b\\tc ")
    'a b c'
    """
    held = (" " if sign in "\ufffe\uffff" or unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in text)
    return " ".join("".join(held).split())


def clock(milliseconds: int, point: str = ".") -> str:
    """``HH:MM:SS.mmm``, hours with two digits or more.

    >>> clock(3_723_004), clock(5, ",")
    ('01:02:03.004', '00:00:00,005')
    """
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def short_clock(seconds: int) -> str:
    """``M:SS``, from an hour on ``H:MM:SS``.

    >>> short_clock(5), short_clock(3765)
    ('0:05', '1:02:45')
    """
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"


def editor_rate(frame_rate: float | None) -> Fraction:
    """The frame rate that editors know which is nearest to that of a video; 25 where it is not known.

    >>> editor_rate(29.97), editor_rate(23.5), editor_rate(None)
    (Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 1))
    """
    return min(RATES, key=lambda rate: abs(rate - Fraction(frame_rate))) if frame_rate else USUAL


def last_frame(rate: Fraction, duration: float) -> int:
    """The last frame of a video of ``duration`` seconds, counted from 0."""
    return max(round(Fraction(duration) * rate), 1) - 1


def frames(cue: Cue, rate: Fraction, duration: float) -> tuple[int, int]:
    """The first and the last frame of a cue, counted from 0, within a video of ``duration`` seconds."""
    last = last_frame(rate, duration)
    first = min(round(Fraction(cue.start, 1000) * rate), last)
    return first, min(max(round(Fraction(cue.end, 1000) * rate) - 1, first), last)


def markers(events: Iterable[Event], rate: Fraction, duration: float) -> list[tuple[int, int, str]]:
    """First frame, last frame and text, ascending: editors show one marker per frame.

    Events that begin in the same frame share a marker, which lasts as long as the longest of them.
    """
    found: list[tuple[int, int, str]] = []
    for cue in sorted(cues(events), key=lambda cue: (cue.start, -cue.end)):
        first, last = frames(cue, rate, duration)
        if found and found[-1][0] == first:
            _, before, text = found.pop()
            found.append((first, max(before, last), f"{text} / {cue.text}"))
        else:
            found.append((first, last, cue.text))
    return found
