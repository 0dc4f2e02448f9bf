"""Timing of feature rows: how many a store has per second, and which of them are read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hicm.errors import UserError
from hicm.strict import limited

Rows = Literal["thinned", "all", "spread"]


@dataclass(frozen=True)
class Clock:
    """The clock of a store with ``fps`` rows per second.

    ``rows``: which of them are read, and how long they last.  thinned: at most one per second; all: every one, 1 / fps
    seconds each; spread: every one, and those of a video share its duration equally, whatever ``fps``.
    """

    fps: float = 1.0
    rows: Rows = "thinned"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise UserError(f"data.feature_fps: expected rows per second > 0, found {self.fps}")

    @property
    def rate(self) -> float:
        """Rows per second as they are read.  Raises UserError where it differs from video to video."""
        if self.rows == "spread":
            raise UserError("data.feature_rows=spread: this needs rows that last equally long in every video; set "
                            "data.feature_rows=all and data.feature_fps")
        return min(self.fps, 1.0) if self.rows == "thinned" else self.fps

    def seconds(self, rows: int, duration: float) -> float:
        """Seconds that each of the ``rows`` rows of a video lasts; ``duration`` in seconds is read by spread only."""
        return duration / rows if self.rows == "spread" else 1 / self.rate


@dataclass(frozen=True)
class Stream:
    """More features of the same videos (``data.streams``)."""

    path: str = ""
    fps: float = limited(0.0, 0)  # rows per second in the store; 0: as many as data.feature_fps

    def __post_init__(self) -> None:
        if not self.path:
            raise UserError("a stream needs a path: {path: <features>, fps: <rows per second>}")


def timed_streams(streams: Sequence[str | Stream], clock: Clock) -> tuple[Stream, ...]:
    """``data.streams``, each with its rows per second, where it names none those of ``clock``.

    Raises UserError when one names them though the rows of every store are spread over the video.
    """
    found = [one if isinstance(one, Stream) else Stream(one) for one in streams]
    if clock.rows == "spread" and any(one.fps for one in found):
        raise UserError("data.streams: fps: data.feature_rows=spread spreads the rows of every store over the video, "
                        "however many it has; leave fps out")
    return tuple(Stream(one.path, one.fps or clock.fps) for one in found)
