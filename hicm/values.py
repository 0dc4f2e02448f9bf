"""Values that a json file holds: which are numbers and spans, and what others are, in words."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from hicm.errors import UserError

LARGEST = 1e300  # seconds; NaN and infinity are not below it, and an int may be too large for a float
NUMBERS = (float, int, Real)  # the common types first: asking for Real is slow
PLAIN = frozenset([float, int])  # without true and false


def plain_span(value: Any) -> tuple[float, float] | None:
    """Start and end in seconds, if they are given as json gives them; None for anything that has to be checked."""
    if type(value) is not list or len(value) != 2:
        return None
    start, end = value
    if type(start) not in PLAIN or type(end) not in PLAIN or not (
            -LARGEST < start < LARGEST and -LARGEST < end < LARGEST):
        return None
    return float(start), float(end)


def check_span(value: Any, where: str) -> tuple[float, float]:
    """Start and end in seconds.  Raises UserError for anything but two finite numbers."""
    if not isinstance(value, list | Sequence | np.ndarray) or isinstance(value, str) or len(value) != 2:
        raise UserError(f"{where}: timestamp {value!r:.60}, expected [start, end] in seconds")
    for number in value:
        if not is_number(number):
            raise UserError(f"{where}: timestamp {value!r:.60}, expected numbers (seconds), found {kind_of(number)}")
    start, end = map(as_float, value)
    if not (abs(start) < LARGEST and abs(end) < LARGEST):
        raise UserError(f"{where}: timestamp {value!r:.60}, expected finite seconds")
    return start, end


def duration_of(value: Any) -> float | None:
    """A duration in seconds; None for what is no number: nothing is scored by it."""
    return as_float(value) if is_number(value) and abs(as_float(value)) < LARGEST else None


def as_float(number: Any) -> float:
    """A number as float64, so that single precision is compared in double; infinite where it is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """What a json value is, in words."""
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true/false", int: "a number", float: "a number",
             type(None): "null"}
    return names.get(type(value), type(value).__name__)
