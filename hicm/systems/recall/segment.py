"""Cut a video where its features change: penalised kernel change points.

T rows (frames), D width, n segments, P penalties.  Among all partitions into segments of at least the shortest length,
the one that minimises

    sum over segments of the scatter  sum_t |x_t - mean|^2   +   penalty * (number of boundaries)

found exactly by dynamic programming.  The kernel is linear over L2-normalised rows, i.e. the cosine.  Scatter is
measured in seconds of the video's average scatter, so a penalty hardly depends on how much all rows have in common.
Time is O(T^2 D), memory O(T (D + P)); an hour at one row per second takes less than a second.

Sources: Harchaoui & Cappe, "Retrospective multiple change-point estimation with kernels", SSP 2007; the cost per
boundary as in Arlot, Celisse & Harchaoui, JMLR 2019; for video summaries (KTS) Potapov et al., ECCV 2014.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hicm.errors import UserError

BLOCK = 256  # rows whose costs are computed at once
TIE = 1e-7  # partitions whose costs (in rows of average scatter) differ by less are equally good: the first is taken
CONSTANT = 1e-10  # average scatter of unit rows, below which only rounding differs between them
SMALLEST_NORM = 1e-8
SLACK = 1e-9  # seconds by which a sum of row lengths may round


@dataclass(frozen=True, eq=False)
class Segments:
    """A video in n consecutive parts: they cover its rows, in order, without overlap."""

    spans: np.ndarray  # [n, 2] float64 seconds, start < end
    means: np.ndarray  # [n, D] float32, mean of the L2-normalised rows of each part


def segment(rows: np.ndarray, step: float, duration: float, penalties: Sequence[float], shortest: float,
            mask: np.ndarray | None = None) -> list[Segments]:
    """The best partition for each of the penalties (seconds), in their order.

    ``rows`` [T, D], finite, row i standing for the seconds from i * step to (i + 1) * step of a video of ``duration``
    seconds; ``mask`` bool [T] marks the real rows where others are padding.  Rows that begin at or after the end of
    the video are ignored; a gap of less than one row at the end belongs to the last segment.  No segment is shorter
    than ``shortest`` seconds, but a video that is too short to be cut, a single row and rows that are all alike give
    one segment.  Zero rows count as the zero vector.  Equal inputs give equal results; nothing is ever NaN.
    Raises UserError when there is no row, or step or duration are not positive.
    """
    unit, edges = _prepare(rows if mask is None else rows[mask], step, duration)
    scaled = unit - unit.mean(axis=0)
    scatter = float(np.einsum("td,td->t", scaled, scaled).mean())
    if scatter < CONSTANT:
        cuts = [np.array([0, len(unit)])] * len(penalties)
    else:
        cuts = _best_cuts(scaled / math.sqrt(scatter), edges, np.asarray(penalties) / step, shortest)
    return [Segments(np.stack([edges[cut[:-1]], edges[cut[1:]]], axis=1), _means(unit, cut)) for cut in cuts]


def span_means(rows: np.ndarray, step: float, duration: float, spans: np.ndarray) -> np.ndarray:
    """Means of the L2-normalised rows whose middle lies in each span, float32 [n, D], as those of `Segments`.

    ``spans`` [n, 2] in seconds, start and end in either order.  One that holds no middle takes the row at its own
    middle, or the nearest.  ``rows``, ``step`` and ``duration`` as for `segment`, which raises UserError alike.
    """
    unit, edges = _prepare(rows, step, duration)
    spans = np.sort(np.asarray(spans, np.float64).reshape(-1, 2), axis=1)
    cuts = np.searchsorted((edges[:-1] + edges[1:]) / 2, spans)
    at = np.clip(np.searchsorted(edges, spans.mean(axis=1), side="right") - 1, 0, len(unit) - 1)
    empty = cuts[:, 0] == cuts[:, 1]
    cuts[empty] = np.stack([at, at + 1], axis=1)[empty]
    means = [unit[first:last].mean(axis=0) for first, last in cuts.tolist()]
    return np.array(means, np.float32).reshape(-1, unit.shape[1])


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their L2 norm, float64 [T, D]; a zero row stays zero."""
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), SMALLEST_NORM)


def _prepare(rows: np.ndarray, step: float, duration: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows [T, D] inside the video, and the seconds [T + 1] at which they begin and end."""
    if rows.ndim != 2 or not len(rows):
        raise UserError(f"features have shape {list(rows.shape)}, expected [rows, width] with at least one row; "
                        "extract the video again")
    if not (0 < step < math.inf and 0 < duration < math.inf):
        raise UserError(f"rows of {step} seconds in a video of {duration} seconds; expected positive numbers")
    begins = np.arange(len(rows) + 1) * step
    count = max(int((begins[:-1] < duration - SLACK).sum()), 1)
    edges = np.minimum(begins[:count + 1], duration)
    if duration - edges[-1] < step:
        edges[-1] = duration
    return unit_rows(rows[:count]), edges


def _means(unit: np.ndarray, cut: np.ndarray) -> np.ndarray:
    return (np.add.reduceat(unit, cut[:-1], axis=0) / np.diff(cut)[:, None]).astype(np.float32)


def _best_cuts(x: np.ndarray, edges: np.ndarray, penalties: np.ndarray, shortest: float) -> list[np.ndarray]:
    """For each penalty (in rows) the bounds of the best segments, int64 [n + 1] from 0 to T.

    ``x`` [T, D] of zero mean and average squared norm 1.  best[p, t]: the lowest cost of the first t rows.
    """
    count = len(x)
    sums = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)])
    squares = np.concatenate([[0], np.cumsum(np.einsum("td,td->t", x, x))])
    starts = np.searchsorted(edges, edges - shortest + SLACK, side="right")  # how many starts each end may have
    starts = np.minimum(starts, np.arange(count + 1))
    every = np.arange(len(penalties))
    best = np.full((len(penalties), count + 1), np.inf)
    best[:, 0] = 0
    origin = np.zeros((len(penalties), count + 1), np.int64)
    for first in range(1, count + 1, BLOCK):
        last = min(first + BLOCK, count + 1)
        for end, scatters in zip(range(first, last), _scatters(sums, squares, first, last), strict=True):
            if starts[end]:
                costs = best[:, :starts[end]] + scatters[:starts[end]]
                chosen = np.argmax(costs <= costs.min(axis=1, keepdims=True) + TIE, axis=1)
                best[:, end] = costs[every, chosen] + penalties
                origin[:, end] = chosen
    return [_walk_back(row) for row in origin]


def _scatters(sums: np.ndarray, squares: np.ndarray, first: int, last: int) -> np.ndarray:
    """Scatter of the rows s .. e - 1 for ends e in first .. last - 1 and starts s < last, [ends, starts].

    From cumulative sums: sum |x|^2 - |sum x|^2 / length.  Where s >= e the number means nothing.
    """
    ends, starts = np.arange(first, last)[:, None], np.arange(last)
    norms = np.einsum("td,td->t", sums[:last], sums[:last])
    totals = norms[first:, None] + norms - 2 * (sums[first:last] @ sums[:last].T)
    return squares[first:last, None] - squares[:last] - totals / np.maximum(ends - starts, 1)


def _walk_back(origin: np.ndarray) -> np.ndarray:
    cut = [len(origin) - 1]
    while cut[-1]:
        cut.append(int(origin[cut[-1]]))
    return np.array(cut[::-1])
