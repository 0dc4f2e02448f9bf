"""Seconds to time bins and back (Vid2Seq).  This arithmetic is written nowhere else in hicm.

B bins stand for B instants spread evenly from 0 to the duration: bin b is the instant b * duration / (B - 1).  The
scalar functions take Python numbers or NumPy scalars; all arithmetic is float64.
"""

import math
from typing import Any

import numpy as np

from hicm.errors import UserError


def to_bin(seconds: float, duration: float, bins: int) -> int:
    """The bin of an instant, 0 .. bins - 1: ((bins - 1) * seconds) / duration, truncated and clamped.

    ``seconds`` outside [0, duration] fall into the first or last bin.  Raises UserError on a non-finite time, a
    duration that is not positive, or fewer than 2 bins.

    >>> to_bin(0.0, 30.0, 100), to_bin(15.0, 30.0, 100), to_bin(30.0, 30.0, 100), to_bin(31.0, 30.0, 100)
    (0, 49, 99, 99)
    """
    return int(min(max(_position(seconds, duration, bins), 0.0), bins - 1))


def to_seconds(bin: int, duration: float, bins: int) -> float:
    """The instant of a bin in seconds: bin * duration / (bins - 1).

    Raises UserError on a bin outside 0 .. bins - 1, a duration that is not positive, or fewer than 2 bins.
    """
    _check(duration, bins)
    if not 0 <= bin < bins:
        raise UserError(f"time bin {bin}: expected 0 to {bins - 1}; does captioner.time_bins match the checkpoint?")
    return float(bin) * float(duration) / (bins - 1)


def to_bins(seconds: np.ndarray, duration: float, bins: int) -> np.ndarray:
    """`to_bin` of every entry, as int64 of the same shape."""
    return np.clip(_position(seconds, duration, bins), 0, bins - 1).astype(np.int64)


def is_clamped(seconds: float, duration: float, bins: int) -> bool:
    """Whether the bin would not exist without clamping, i.e. whether `to_bin` moved this instant into the video.

    An instant less than one bin outside may keep its bin and does not count.

    >>> is_clamped(30.0, 30.0, 100), is_clamped(30.2, 30.0, 100), is_clamped(31.0, 30.0, 100)
    (False, False, True)
    """
    return not -1 < _position(seconds, duration, bins) < bins


def _position(seconds: Any, duration: float, bins: int) -> Any:
    """(bins - 1) * seconds / duration in float64: a float, or an array for an array."""
    _check(duration, bins)
    if not np.all(np.isfinite(seconds)):
        raise UserError(f"time {seconds} s: expected a finite number of seconds; correct the annotation")
    seconds = np.asarray(seconds, np.float64) if isinstance(seconds, np.ndarray) else float(seconds)
    return ((bins - 1) * seconds) / float(duration)


def _check(duration: float, bins: int) -> None:
    if bins < 2:
        raise UserError(f"{bins} time bins: expected at least 2; set captioner.time_bins")
    if not (math.isfinite(duration) and duration > 0):
        raise UserError(f"duration {duration} s: expected a positive number; correct the annotation")
