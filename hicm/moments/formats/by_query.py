"""Predictions as a json object by query: lists of windows, or TimeChat's ``{"timestamp": [[start, end]]}``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hicm.moments.formats import _checks
from hicm.moments.records import Prediction, Submission
from hicm.source import Source

FORM = '{query: [[start, end, score]]}, or {query: {"timestamp": [[start, end]]}}; without scores the first is the best'
SIDE = "predictions"


def matches(source: Source) -> bool:
    """Whether every value is a list of lists of numbers, or has one as ``timestamp``."""
    if not isinstance(source.data, Mapping):
        return False
    values = source.data.values()
    return all(map(_is_windows, values)) and any(len(_windows(one)) for one in values)


def read(source: Source) -> Submission:
    """Every query in turn."""
    found: dict[str, Prediction] = {}
    for key, value in source.data.items():
        name = _checks.new_id(key, found, source.where)
        where, windows = f"{source.where}: query {name}", _windows(value)
        video = _checks.text(value.get("vid")) if isinstance(value, Mapping) else ""
        if all(len(window) == 2 for window in windows):
            spans = _checks.numbers(windows, 2, where, "[start, end]")
            # Only their order counts: the first listed is the best.
            scores = np.arange(len(spans), 0, -1, dtype=np.float64)[:, None]
            found[name] = Prediction(np.concatenate([spans, scores], axis=1), video=video)
        else:
            found[name] = Prediction(_checks.numbers(windows, 3, where, "[start, end, score]"), video=video)
    return Submission(found, "by_query")


def _windows(value: Any) -> Any:
    return value["timestamp"] if isinstance(value, Mapping) else value


def _is_windows(value: Any) -> bool:
    if isinstance(value, Mapping) and "timestamp" not in value:
        return False
    windows = _windows(value)
    return isinstance(windows, list) and all(isinstance(window, list | tuple) for window in windows)
