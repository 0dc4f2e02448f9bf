"""What is worth knowing about data before hours of training are spent on it: counts, with the worst examples named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hicm.clock import Clock
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


def of_features(looks: Mapping[str, Look], videos: Mapping[str, Video], clock: Clock,
                stores: Sequence[Features] = ()) -> Iterator[Finding]:
    """Rows of zeros, and numbers of rows that do not fit the duration; of videos whose features can be used.

    ``stores``: where the features are those of several.
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
    if clock.rows == "spread":  # any number of rows fits
        return
    seconds = {name: videos[name].duration for name in sound}
    for store in stores:
        yield _of_stream(store, seconds)
    if not stores:
        yield from _of_rows(sound, seconds, clock, everything)


def _of_rows(sound: Mapping[str, Look], seconds: Mapping[str, float], clock: Clock,
             everything: str) -> Iterator[Finding]:
    """Videos whose number of rows, as they are read, does not fit the duration."""
    odd = [name for name, look in sound.items() if not _fits(look.rows, seconds[name], clock.rate)]
    turned = [name for name in odd if _fits(sound[name].width, seconds[name], clock.rate)]
    yield Finding(f"{everything} have features that look like [width, seconds]",
                  tuple(f"{name} ({sound[name].rows} rows of {sound[name].width}, {seconds[name]:g} s)"
                        for name in turned), "transpose them: a row is a second")
    better = 0.0
    if clock.rate == clock.fps:  # thinned rows do not tell how many there were
        better = _better({name: look.rows for name, look in sound.items()}, seconds, clock.fps)
    yield Finding("videos whose features do not match their duration",
                  tuple(f"{name} ({sound[name].rows} rows, {seconds[name]:g} s)" for name in odd
                        if name not in set(turned)),
                  f"is data.feature_fps = {clock.fps:g} the store's number of rows per second?"
                  + (f" They fit {better:g}: data.feature_fps={better:g}" if better else ""))


def _of_stream(store: Features, seconds: Mapping[str, float]) -> Finding:
    """Videos whose number of rows in one of several stores does not fit the duration."""
    fps, rows = store.clock.fps, {name: store.stored_rows(name) for name in seconds}
    better = _better(rows, seconds, fps)
    return Finding(f"videos whose features in {store.path} do not match their duration",
                   tuple(f"{name} ({count} rows, {seconds[name]:g} s)" for name, count in rows.items()
                         if not _fits(count, seconds[name], fps)),
                   f"has it {fps:g} rows per second?" + (f" They fit {better:g}" if better else "")
                   + "; see data.feature_fps and fps in data.streams")


def _better(rows: Mapping[str, int], seconds: Mapping[str, float], fps: float) -> float:
    """The rows per second that nine of ten videos have, where they are others; 0 where not."""
    timed = {name: count for name, count in rows.items() if seconds[name] > 0}
    if not timed:
        return 0.0
    rates = sorted(count / seconds[name] for name, count in timed.items())
    rate = rates[len(rates) // 2]
    rate = float(round(rate)) if rate >= 1.5 else 1 / round(max(1 / rate, 1))
    fit = sum(_fits(count, seconds[name], rate) for name, count in timed.items())
    return rate if rate != fps and fit >= 0.9 * len(timed) else 0.0


def _fits(rows: int, seconds: float, rate: float) -> bool:
    """Whether so many rows are plausible: not both 10 s and a factor of 1.5 away from the duration (NaN: any)."""
    covered = rows / rate
    return not (abs(covered - seconds) > 10 and not 1 / 1.5 <= covered / seconds <= 1.5)
