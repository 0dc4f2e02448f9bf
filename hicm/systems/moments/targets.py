"""What is to be learnt for a query: windows, and rows that show them.  Windows are shares of the video."""

from collections.abc import Sequence

import numpy as np

from hicm.types import Span

CLIP = 2.0  # seconds of the clips that annotators of QVHighlights rate


def relevant_rows(windows: Sequence[Span], seconds: float, rows: int) -> np.ndarray:
    """The rows of ``seconds`` each in which a window lies, bool [rows]: from that of its start to that of its end.

    A window beyond the rows has the last one.
    """
    found = np.zeros(rows, bool)
    for window in windows:
        first, last = (min(max(0, int(time / seconds)), rows - 1) for time in (window.start, window.end))
        found[first:last + 1] = True
    return found


def rated_rows(clips: np.ndarray, ratings: np.ndarray, seconds: float, rows: int) -> np.ndarray:
    """The rating of each row of ``seconds``, summed over annotators: float32 [rows], 0 where there is none.

    ``clips`` int64 (k,) of `CLIP` seconds and their ``ratings`` (k, annotators).  A row has that of the clip in which
    its middle lies; clips beyond the rows are left out.
    """
    of_row = ((np.arange(rows) + 0.5) * seconds / CLIP).astype(np.int64)
    of_clip = np.zeros(max(int(of_row[-1]), int(clips.max(initial=0))) + 1, np.float32)
    of_clip[clips] = ratings.sum(1)
    return of_clip[of_row]


def clip_scores(scores: np.ndarray, seconds: float, duration: float) -> np.ndarray:
    """Scores of rows of ``seconds`` each, float (T,), as those of the clips of `CLIP` seconds of their video.

    Each clip has that of the row in which its middle lies; clips after the last row have that of the last one.
    ``duration`` of the video in seconds.
    """
    count = max(1, int(duration / CLIP))
    of_clip = ((np.arange(count) + 0.5) * CLIP / seconds).astype(np.int64)
    return scores[np.minimum(of_clip, len(scores) - 1)]


def target_windows(windows: Sequence[Span], extent: float) -> np.ndarray:
    """Centre and length of each window as shares of ``extent`` seconds: float32 [N, 2]."""
    spans = np.array([[window.start, window.end] for window in windows], np.float64).reshape(-1, 2) / extent
    return np.stack([spans.mean(1), spans[:, 1] - spans[:, 0]], 1).astype(np.float32)
