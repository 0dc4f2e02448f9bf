"""Cut a long video into windows that a model can take, where least is lost: at pauses, where the picture changes."""

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


def _changes(rows: np.ndarray) -> np.ndarray:
    """Cosine distance between each row and the next, [T - 1]."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8)
    return 1 - (unit[:-1] * unit[1:]).sum(axis=1)


def _best(places: np.ndarray, change: np.ndarray, step: float, speech: tuple[tuple[float, float], ...]) -> int:
    """The place, in rows, at which to cut."""
    spoken = np.array([any(start < place * step < end for start, end in speech) for place in places])
    quiet = places[~spoken] if not spoken.all() else places
    return int(quiet[np.argmax(change[quiet - 1])])
