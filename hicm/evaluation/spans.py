"""Spans that are impossible, in either side of an evaluation."""

import numpy as np


def odd_spans(side: str, spans: np.ndarray, duration: np.ndarray, what: str = "timestamps") -> list[str]:
    """One warning for each kind of impossible span; such spans are scored by the formula all the same.

    ``spans`` (N, 2) and the ``duration`` (N,) of their videos are in seconds, inf where unknown; ``what``: what
    messages call them.
    """
    start, end = spans.T
    odd = {"reversed (end before start)": end < start, "of zero length": end == start,
           "with a negative time": (start < 0) | (end < 0),
           # Annotations round to whole seconds, durations to hundredths: one second of grace.
           "beyond the video's duration": np.maximum(start, end) > duration + 1.0}
    return [f"{side}: {found.sum()} {what} {kind}; scored by the formula" for kind, found in odd.items()
            if found.any()]
