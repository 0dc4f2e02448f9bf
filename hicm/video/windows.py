"""Windows of a long video that a model can take: side by side, cut at pauses where the picture changes; or overlapping.
"""

import itertools
import math

import numpy as np

from hicm.types import Span

SLACK = 0.2  # share of a window's length by which a cut may move from its even place


def cut(rows: np.ndarray, step: float, duration: float, longest: float,
        speech: tuple[tuple[float, float], ...] = ()) -> list[Span]:
    """Consecutive windows of at most ``longest`` seconds that cover a video of ``duration`` seconds.

    ``rows`` [T, D], one per ``step`` seconds; ``speech``: start and end of each spoken segment, in seconds.  Windows
    are nearly equal; each cut lies between two rows, where nothing is said if possible, and there where neighbouring
    rows differ most (cosine).  A video that is short enough is one window.
    """
    count = math.ceil(duration / longest)
    if count < 2:
        return [Span(0.0, duration)]
    count = math.ceil(duration / (longest * (1 - SLACK)))  # so that cuts may move
    change = _changes(rows.astype(np.float64))
    length, cuts = duration / count, [0.0]
    for number in range(1, count):
        middle, slack = number * length, SLACK * length / 2
        places = np.arange(math.ceil((middle - slack) / step), math.floor((middle + slack) / step) + 1)
        places = places[(places >= 1) & (places <= len(change))]
        cuts.append(float(_best(places, change, step, speech) * step) if len(places) else middle)
    cuts.append(duration)
    return [Span(start, end) for start, end in itertools.pairwise(cuts)]


def overlapping(duration: float, longest: float) -> list[Span]:
    """Windows of ``longest`` seconds that cover a video of ``duration`` seconds, evenly spread and at least half over
    each other, so that one of them holds a moment of up to half their length in whole.

    >>> [(span.start, span.end) for span in overlapping(100, 50)]
    [(0.0, 50.0), (25.0, 75.0), (50.0, 100.0)]
    >>> overlapping(40, 50)
    [Span(start=0.0, end=40.0)]
    """
    if duration <= longest:
        return [Span(0.0, float(duration))]
    count = math.ceil((duration - longest) / (longest / 2)) + 1
    return [Span(float(start), float(start + longest)) for start in np.linspace(0, duration - longest, count)]


def around(span: Span, duration: float, longest: float) -> Span:
    """The part of a video of ``duration`` seconds that shows a moment with what is around it: ``longest`` seconds, or
    as many as the moment or the video has.

    >>> around(Span(50, 60), 100, 30), around(Span(0, 10), 100, 30), around(Span(5, 10), 20, 30)
    (Span(start=40.0, end=70.0), Span(start=0.0, end=30.0), Span(start=0.0, end=20.0))
    """
    length = min(duration, max(longest, span.end - span.start))
    start = min(max((span.start + span.end - length) / 2, 0.0), duration - length)
    return Span(float(start), float(start + length))


def _changes(rows: np.ndarray) -> np.ndarray:
    """Cosine distance between each row and the next, [T - 1]."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8)
    return 1 - (unit[:-1] * unit[1:]).sum(axis=1)


def _best(places: np.ndarray, change: np.ndarray, step: float, speech: tuple[tuple[float, float], ...]) -> int:
    """The place, in rows, at which to cut."""
    spoken = np.array([any(start < place * step < end for start, end in speech) for place in places])
    quiet = places[~spoken] if not spoken.all() else places
    return int(quiet[np.argmax(change[quiet - 1])])
