"""What is to be learnt for a query: windows, and rows that show them.  Windows are shares of the video."""

from collections.abc import Sequence

import numpy as np

from hicm.types import Span


def relevant_rows(windows: Sequence[Span], seconds: float, rows: int) -> np.ndarray:
    """The rows of ``seconds`` each in which a window lies, bool [rows]: from that of its start to that of its end.

    A window beyond the rows has the last one.
    """
    found = np.zeros(rows, bool)
    for window in windows:
        first, last = (min(max(0, int(time / seconds)), rows - 1) for time in (window.start, window.end))
        found[first:last + 1] = True
    return found


def rated_rows(ratings: Sequence[tuple[int, int]], rows: int) -> np.ndarray:
    """Ratings (row, sum) as float32 [rows]; those beyond the rows are left out."""
    found = np.zeros(rows, np.float32)
    for row, rating in ratings:
        if row < rows:
            found[row] = rating
    return found


def target_windows(windows: Sequence[Span], extent: float) -> np.ndarray:
    """Centre and length of each window as shares of ``extent`` seconds: float32 [N, 2]."""
    spans = np.array([[window.start, window.end] for window in windows], np.float64).reshape(-1, 2) / extent
    return np.stack([spans.mean(1), spans[:, 1] - spans[:, 0]], 1).astype(np.float32)
