"""What is worth knowing about data before hours of training are spent on it: counts, with the worst examples named."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hicm.data.features import Features
from hicm.errors import UserError
from hicm.types import Video

SHOWN = 10  # items named
Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """``what`` follows the number of ``items``, the worst first; without any it holds only as a note or an error.

    An error stops training or evaluation, a warning does not; a note says what was not counted.

    >>> str(Finding("of 9 videos have no sound", ("a", "b"), "add some"))
    '2 of 9 videos have no sound: a, b; add some'
    """

    what: str
    items: tuple[str, ...] = ()
    remedy: str = ""
    level: Level = "warning"

    def __bool__(self) -> bool:
        """Whether there is something to say."""
        return bool(self.items) or self.level != "warning"

    def __str__(self) -> str:
        more = f" and {len(self.items) - SHOWN} more" if len(self.items) > SHOWN else ""
        count, items = (f"{len(self.items)} ", f": {', '.join(self.items[:SHOWN])}{more}") if self.items else ("", "")
        return f"{count}{self.what}{items}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Look:
    """The features of one video at a glance."""

    rows: int = 0
    width: int = 0
    zeros: int = 0  # rows that are all zero
    error: str = ""  # why they cannot be used


def look_at(features: Features, video_id: str) -> Look:
    """Read the features of a video."""
    try:
        x = features.read(video_id)
    except UserError as error:
        return Look(error=str(error))
    return Look(len(x), x.shape[1], int(np.count_nonzero(~x.any(axis=1))))


def of_features(looks: Mapping[str, Look], videos: Mapping[str, Video], fps: float) -> Iterator[Finding]:
    """Rows of zeros, and numbers of rows that do not fit the duration; of videos whose features can be used.

    ``fps``: rows per second in the store (``data.feature_fps``).
    """
    sound = {name: look for name, look in looks.items() if not look.error}
    everything = f"of {len(sound)} videos"
    yield Finding(f"{everything} have features that are all zero",
                  tuple(name for name, look in sound.items() if look.zeros == look.rows),
                  "did their extraction fail? extract them again, or remove these videos")
    some = sorted((name for name, look in sound.items() if 0 < look.zeros < look.rows),
                  key=lambda name: -sound[name].zeros / sound[name].rows)
    share = 100 * sum(sound[name].zeros for name in some) / max(1, sum(look.rows for look in sound.values()))
    yield Finding(f"{everything} have rows of zeros among their features ({share:.2g} % of all rows)",
                  tuple(f"{name} ({sound[name].zeros} of {sound[name].rows} rows)" for name in some),
                  "are they padded, or frames that could not be decoded?")
    odd = {name: look for name, look in sound.items() if not _fits(look.rows, videos[name].duration, fps)}
    turned = [name for name, look in odd.items() if _fits(look.width, videos[name].duration, fps)]
    yield Finding(f"{everything} have features that look like [width, seconds]",
                  tuple(f"{name} ({odd[name].rows} rows of {odd[name].width}, {videos[name].duration:g} s)"
                        for name in turned), "transpose them: a row is a second")
    rest = [name for name in odd if name not in set(turned)]
    yield Finding("videos whose features do not match their duration",
                  tuple(f"{name} ({odd[name].rows} rows, {videos[name].duration:g} s)" for name in rest),
                  f"is data.feature_fps = {fps:g} the store's number of rows per second?" + _better(sound, videos, fps))


def _better(sound: Mapping[str, Look], videos: Mapping[str, Video], fps: float) -> str:
    """The rate that nine of ten videos have, where it is another one, as a further sentence."""
    timed = {name: look for name, look in sound.items() if videos[name].duration > 0}
    if fps > 1 or not timed:  # thinned rows do not tell how many there were
        return ""
    rates = sorted(look.rows / videos[name].duration for name, look in timed.items())
    rate = rates[len(rates) // 2]
    rate = float(round(rate)) if rate >= 1.5 else 1 / round(max(1 / rate, 1))
    fit = sum(_fits(math.ceil(look.rows / max(rate, 1.0)), videos[name].duration, rate)
              for name, look in timed.items())
    return f" They fit {rate:g}: data.feature_fps={rate:g}" if rate != fps and fit >= 0.9 * len(timed) else ""


def _fits(rows: int, seconds: float, fps: float) -> bool:
    """Whether so many rows are plausible: not both 10 s and a factor of 1.5 away from the duration (NaN: any)."""
    covered = rows / min(fps, 1.0)  # stores of more than one row per second are thinned to one
    return not (abs(covered - seconds) > 10 and not 1 / 1.5 <= covered / seconds <= 1.5)
