"""From raw windows to those that are submitted: clamped, rounded to a grid, thinned out.

As Moment-DETR and its successors do before they write a submission.  Times are in seconds; windows are arrays whose
first two columns are start and end, and whose third is the score.
"""

import numpy as np

Windows = np.ndarray
LARGEST = 1e30  # seconds; later times are taken for it, so that float32 can hold them


def clamp(windows: Windows, longest: float) -> Windows:
    """Windows (N, >=2) with start and end in [0, ``longest``], float32."""
    times = np.clip(_times(windows), np.float32(0.0), np.float32(longest))
    return _with_times(windows, times)


def round_to_grid(windows: Windows, step: float) -> Windows:
    """Windows (N, >=2) with start and end at the nearest multiples of ``step``, halves to the even one.

    In float32, as the published systems do: 0.5 becomes 0 and 1.5 becomes 2 at a step of 1.  Windows shorter than a
    step may become empty.
    """
    grid = np.float32(step)
    return _with_times(windows, np.round(_times(windows) / grid) * grid)


def post_process(windows: Windows, longest: float = 0.0, step: float = 0.0) -> Windows:
    """Windows (N, 3), clamped to ``longest`` and rounded to ``step``, each unless it is 0; scores get four decimals.

    >>> post_process(np.array([[-1.0, 3.4, 0.9], [149.6, 170.0, 0.12345]]), 150, 1).tolist()
    [[0.0, 3.0, 0.9], [150.0, 150.0, 0.1234]]
    """
    windows = np.asarray(windows, dtype=np.float64).copy()
    windows[:, 2] = windows[:, 2].round(4)
    if longest:
        windows = clamp(windows, longest)
    return round_to_grid(windows, step) if step else windows


def suppress(windows: Windows, threshold: float, most: int = 10) -> Windows:
    """Non-maximum suppression: the windows (M, 3) of (N, 3) that are kept, best score first, ``most`` at most.

    From the best on, a window is dropped if its overlap with one that was kept is above ``threshold``: the
    intersection over the hull of both, 0 where the hull is empty.  Windows of equal score keep their order.  A single
    window is returned as it is.
    """
    windows = np.asarray(windows, dtype=np.float64)
    if len(windows) < 2:
        return windows
    left = windows[np.argsort(-windows[:, 2], kind="stable")]
    kept: list[np.ndarray] = []
    while len(left) and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[hull_overlap(best[None, :2], left[:, :2]) <= threshold]
    return np.stack(kept)


def hull_overlap(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Intersection over hull (...) of spans (..., 2): their IoU where they overlap, else 0; 0 where the hull is empty.

    >>> hull_overlap(np.array([[0.0, 10.0]]), np.array([[0.0, 7.0], [20.0, 30.0]])).tolist()
    [0.7, 0.0]
    """
    shared = np.maximum(np.minimum(one[..., 1], two[..., 1]) - np.maximum(one[..., 0], two[..., 0]), 0.0)
    hull = np.maximum(one[..., 1], two[..., 1]) - np.minimum(one[..., 0], two[..., 0])
    return np.divide(shared, hull, out=np.zeros(shared.shape), where=hull > 0)


def _times(windows: Windows) -> np.ndarray:
    """Start and end (N, 2), float32."""
    return np.clip(windows[:, :2], -LARGEST, LARGEST).astype(np.float32)


def _with_times(windows: Windows, times: np.ndarray) -> Windows:
    made = windows.astype(np.float64)
    made[:, :2] = times
    return made
