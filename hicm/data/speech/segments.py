"""The speech of one video."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.errors import UserError, brief


@dataclass(frozen=True)
class Speech:
    """The segments of one video in file order; start and end in seconds (end inf: that of the video)."""

    start: tuple[float, ...] = ()
    end: tuple[float, ...] = ()
    text: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.text)


def make_speech(start: Sequence[Any], end: Sequence[Any], text: Sequence[Any], where: str) -> Speech:
    """Speech of lists as a file has them.  Raises UserError, starting with ``where``, naming the first odd segment."""
    if not len(start) == len(end) == len(text):
        raise UserError(f"{where}: expected lists of equal length, found {len(start)} starts, {len(end)} ends and "
                        f"{len(text)} texts; transcribe the video again")
    for i, segment in enumerate(zip(start, end, text, strict=True)):
        if not (is_time(segment[0]) and is_time(segment[1]) and isinstance(segment[2], str)):
            raise UserError(f"{where}: segment {i}: expected start and end in seconds and text, found {brief(segment)}")
    return Speech(tuple(map(float, start)), tuple(map(float, end)), tuple(map(str, text)))


def is_time(value: Any) -> bool:
    """A number, NaN included: segments with an aligner's NaN are dropped later, the file need not be refused."""
    return isinstance(value, float | np.floating) or (
        isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) < 1 << 63)


def is_list(value: Any) -> bool:
    """A list, or what a pickle may have in its place."""
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)
