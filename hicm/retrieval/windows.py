"""Window queries: the mean frame of each of W stretches of a video (HiCM2), and when they are.

Where windows begin and end is up to ``retrieval.window_shape`` (`hicm.retrieval.shapes`).
B videos, T rows (frames) per video, D width, W windows, S slots.
"""

import math
from collections.abc import Sequence

import numpy as np

from hicm.config import SHAPES, RetrievalConfig
from hicm.errors import UserError
from hicm.plugins import find_module

Seconds = tuple[float, float] | None  # start and end of a window; None: it is padding, or has no rows


def window_rows(rows: int, windows: int, tail: str = "spread") -> np.ndarray:
    """Which rows belong to which window, bool [W, T].

    tail="drop": floor(T/W) rows each, the last T mod W rows belong to none (as released: 90 of 100 for W = 30).
    tail="spread": nearly equal parts in the manner of `numpy.array_split`: the first T mod W windows have one row
    more than the others.  Raises UserError when W < 1 or W > T.

    >>> window_rows(5, 2).sum(axis=1), window_rows(5, 2, "drop").sum(axis=1)
    (array([3, 2]), array([2, 2]))
    """
    _refuse_more(windows, rows)
    shortest, longer = divmod(rows, windows)
    lengths = np.full(windows, shortest)
    if tail == "spread":
        lengths[:longer] += 1
    ends = np.cumsum(lengths)
    row = np.arange(rows)
    return (row >= (ends - lengths)[:, None]) & (row < ends[:, None])


def window_means(frames: np.ndarray, mask: np.ndarray,
                 settings: RetrievalConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries float32 [B, W, D], which of them stand for something, bool [B, W], and their rows, int32 [B, W, 2].

    ``frames`` [B, T, D], ``mask`` bool [B, T] (True: a real frame).  With ``mask_padding`` a query is the mean of
    the window's real rows, and zero and not valid when it has none; without, all rows count and all windows are
    valid (as released).  Rows are the first and the one after the last, padding included; -1, -1 for a window without
    rows.  Raises UserError when W < 1 or W > T.
    """
    _refuse_more(settings.windows, frames.shape[1])
    shape, counted = find_module(name=settings.window_shape, **SHAPES), mask | (not settings.mask_padding)
    windows = np.zeros((len(frames), settings.windows, frames.shape[1]), bool)
    for row, (own, real) in enumerate(zip(frames, counted, strict=True)):
        windows[row] = shape.windows(own, real, settings)
    weights = windows & counted[:, None, :]
    counts = weights.sum(axis=2)
    sums = np.matmul(weights.astype(np.float32), frames.astype(np.float32, copy=False))
    return sums / np.maximum(counts, 1)[..., None].astype(np.float32), counts > 0, _ends(windows)


def _refuse_more(windows: int, rows: int) -> None:
    if not 1 <= windows <= rows:
        raise UserError(f"retrieval.windows: {windows} windows cannot be cut from {rows} rows; "
                        f"expected 1 to {rows} (data.frames)")


def _ends(windows: np.ndarray) -> np.ndarray:
    """Of windows bool [..., T] the first row and the one after the last, int32 [..., 2]; -1, -1 for none."""
    ends = np.stack([windows.argmax(axis=-1), windows.shape[-1] - windows[..., ::-1].argmax(axis=-1)], axis=-1)
    return np.where(windows.any(axis=-1, keepdims=True), ends, -1).astype(np.int32)


def window_seconds(settings: RetrievalConfig, duration: float, frames: int, rate: float = 1.0,
                   sampling: str = "even", rows: np.ndarray | None = None) -> list[Seconds]:
    """Start and end of each window in a video of ``duration`` seconds; None where a window holds only padding.

    ``frames`` (F) and ``sampling`` are those of the data settings, ``rate`` the rows per second as they are read.
    T > F rows are thinned to F, so they cover the whole video; with T < F row j stands for second j / rate and padding
    follows, but with sampling "nearest" they always cover the whole video.  F = 0: all rows, at least W.  ``rows`` int
    [W, 2]: those of the windows, as `window_means` gives them; None: not recorded (files of earlier versions), which
    UserError refuses where they depend on the frames.
    """
    stretched = bool(frames) and sampling == "nearest"
    frames = frames or max(settings.windows, math.ceil(duration * rate))
    per_row = max(duration / frames, 0.0 if stretched else 1 / rate)
    if rows is None:
        if settings.window_shape != "uniform":
            raise UserError(f"retrieval.window_shape={settings.window_shape}: what was recalled does not say where its "
                            "windows are; remove retrieved_*.h5 and retrieve again")
        rows = _ends(window_rows(frames, settings.windows, settings.tail))
    spans = [(first * per_row, min(end * per_row, duration)) for first, end in rows.tolist()]
    return [(start, end) if end > start >= 0 else None for start, end in spans]


def slot_seconds(slots: np.ndarray, windows: Sequence[Seconds]) -> np.ndarray:
    """Start and end of the window of each slot, float64 [S, 2] in seconds; NaN where it is padding.

    ``slots`` int [S, 3] as in `hicm.retrieval.records.Tokens`; NaN also for those that stand for all windows (-1).
    ``windows``: those of `window_seconds`.
    """
    nowhere = (math.nan, math.nan)
    return np.asarray([*(nowhere if window is None else window for window in windows), nowhere])[slots[:, 0]]
