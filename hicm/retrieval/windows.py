"""Window queries: the mean frame of each of W stretches of a video (HiCM2).

B videos, T rows (frames) per video, D width, W windows.
"""

import math

import numpy as np

from hicm.config import RetrievalConfig
from hicm.errors import UserError


def window_rows(rows: int, windows: int, tail: str = "spread") -> np.ndarray:
    """Which rows belong to which window, bool [W, T].

    tail="drop": floor(T/W) rows each, the last T mod W rows belong to none (as released: 90 of 100 for W = 30).
    tail="spread": nearly equal parts in the manner of `numpy.array_split`: the first T mod W windows have one row
    more than the others.  Raises UserError when W < 1 or W > T.

    >>> window_rows(5, 2).sum(axis=1), window_rows(5, 2, "drop").sum(axis=1)
    (array([3, 2]), array([2, 2]))
    """
    if not 1 <= windows <= rows:
        raise UserError(f"retrieval.windows: {windows} windows cannot be cut from {rows} rows; "
                        f"expected 1 to {rows} (data.frames)")
    shortest, longer = divmod(rows, windows)
    lengths = np.full(windows, shortest)
    if tail == "spread":
        lengths[:longer] += 1
    ends = np.cumsum(lengths)
    row = np.arange(rows)
    return (row >= (ends - lengths)[:, None]) & (row < ends[:, None])


def window_means(frames: np.ndarray, mask: np.ndarray, windows: int, tail: str = "spread",
                 mask_padding: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Queries float32 [B, W, D] and which of them stand for something, bool [B, W].

    ``frames`` [B, T, D], ``mask`` bool [B, T] (True: a real frame).  With ``mask_padding`` a query is the mean of
    the window's real rows, and zero and not valid when it has none; without, all rows count and all windows are
    valid (as released).  Raises UserError when W < 1 or W > T.
    """
    weights = np.broadcast_to(window_rows(frames.shape[1], windows, tail), (len(frames), windows, frames.shape[1]))
    if mask_padding:
        weights = weights & mask[:, None, :]
    counts = weights.sum(axis=2)
    sums = np.matmul(weights.astype(np.float32), frames.astype(np.float32, copy=False))
    return sums / np.maximum(counts, 1)[..., None].astype(np.float32), counts > 0


def window_seconds(settings: RetrievalConfig, duration: float, frames: int,
                   feature_fps: float = 1.0, sampling: str = "even") -> list[tuple[float, float] | None]:
    """Start and end of each window in a video of ``duration`` seconds; None where a window holds only padding.

    ``frames`` (F), ``feature_fps`` and ``sampling`` are those of the data settings.  T > F rows are thinned to F, so
    they cover the whole video; with T < F row j stands for second j and padding follows, but with sampling "nearest"
    they always cover the whole video.  F = 0: all rows, at least W.
    """
    stretched = bool(frames) and sampling == "nearest"
    frames = frames or max(settings.windows, math.ceil(duration * min(feature_fps, 1.0)))
    per_row = max(duration / frames, 0.0 if stretched else 1 / min(feature_fps, 1.0))
    spans: list[tuple[float, float] | None] = []
    for rows in window_rows(frames, settings.windows, settings.tail):
        inside = np.flatnonzero(rows)
        start, end = inside[0] * per_row, min((inside[-1] + 1) * per_row, duration)
        spans.append((float(start), float(end)) if end > start else None)
    return spans
