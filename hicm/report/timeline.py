"""Events on a time axis, for pictures, and which videos to show.  All times are in seconds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hicm.types import Event


@dataclass(frozen=True)
class Bar:
    """One event on its track, drawn from ``start`` to ``end``, both within the video."""

    number: int  # 1-based, in order of start
    text: str
    start: float
    end: float
    lane: int


@dataclass(frozen=True)
class Track:
    """All events of one source: a run, or one annotator."""

    name: str
    colour: int  # index of the run; -1 for references
    bars: tuple[Bar, ...]
    lanes: int


def clock(seconds: float) -> str:
    """Minutes and seconds, rounded.

    >>> clock(7.2), clock(185), clock(3725), clock(-4)
    ('0:07', '3:05', '1:02:05', '−0:04')
    """
    sign, whole = ("−" if seconds < -0.5 else ""), round(abs(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{sign}{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{sign}{minutes}:{whole % 60:02d}"


def make_track(name: str, events: Sequence[Event], duration: float, colour: int = -1) -> Track:
    """Bars in order of start; overlapping events go into separate lanes.

    Events are clipped to the video, and start and end are swapped where the end comes first.
    """
    bars: list[Bar] = []
    free: list[float] = []  # where the last bar of each lane ends
    for number, event in enumerate(sorted(events, key=lambda event: min(event.span.start, event.span.end)), start=1):
        low, high = (min(max(time, 0.0), duration) for time in sorted((event.span.start, event.span.end)))
        lane = next((lane for lane, end in enumerate(free) if end <= low + 1e-6), len(free))
        free[lane:lane + 1] = [high]
        bars.append(Bar(number, event.text, low, high, lane))
    return Track(name, colour, tuple(bars), max(len(free), 1))


def ticks(duration: float, most: int = 8) -> list[float]:
    """Round times from 0 up to ``duration``, at most ``most`` + 1 of them.

    >>> ticks(100)
    [0, 15, 30, 45, 60, 75, 90]
    """
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    step = next((step for step in steps if duration / step <= most), math.ceil(duration / most / 3600) * 3600)
    return [step * k for k in range(int(duration // step) + 1)]


def spread(scores: Mapping[str, float], count: int) -> list[tuple[str, int]]:
    """``count`` videos evenly spread by rank, from best to worst, with their ranks from 1; ties keep the given order.

    Three or more always include the best, the median and the worst.

    >>> spread({"a": 1.0, "b": 3.0, "c": 2.0, "d": 0.0, "e": 5.0}, 3)
    [('e', 1), ('c', 3), ('d', 5)]
    """
    ranked = sorted(scores, key=lambda video: -scores[video])
    last = len(ranked) - 1
    if count > last:
        places = list(range(len(ranked)))
    elif count == 1:
        places = [last // 2]
    else:
        places = [round(place * last / (count - 1)) for place in range(count)]
        if count > 2:
            middle = min(range(1, count - 1), key=lambda place: abs(places[place] - last / 2))
            places[middle] = last // 2
    return [(ranked[place], place + 1) for place in places]
