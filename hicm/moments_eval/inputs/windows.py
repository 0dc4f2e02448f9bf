"""Lists of windows of many queries as one padded array, in blocks of queries with lists of similar length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

CELLS = 1 << 20  # numbers that are compared at once


@dataclass(frozen=True)
class Padded:
    """Rows of Q queries, such as windows: ``rows`` (Q, N, K) float64; those beyond ``counts`` (Q,) are padding."""

    rows: np.ndarray
    counts: np.ndarray

    @property
    def real(self) -> np.ndarray:
        """Mask (Q, N) of what is no padding."""
        return np.arange(self.rows.shape[1]) < self.counts[:, None]

    def of(self, queries: np.ndarray) -> "Padded":
        """The queries at these places, without rows that are padding for all of them."""
        counts = self.counts[queries]
        return Padded(self.rows[queries, :counts.max(initial=0)], counts)

    def where(self, kept: np.ndarray) -> "Padded":
        """Only the rows in the mask ``kept`` (Q, N), in their order."""
        kept = kept & self.real
        return self.taken(np.argsort(~kept, axis=1, kind="stable"), kept.sum(axis=1))

    def best_first(self, scores: np.ndarray, most: int) -> "Padded":
        """The rows with the highest ``scores`` (Q, N), ``most`` at most; those of equal score keep their order."""
        order = np.argsort(np.where(self.real, -scores, np.inf), axis=1, kind="stable")
        return self.taken(order[:, :most], np.minimum(self.counts, most))

    def taken(self, order: np.ndarray, counts: np.ndarray) -> "Padded":
        """The rows at the places ``order`` (Q, M), of which ``counts`` (Q,) are real."""
        return Padded(np.take_along_axis(self.rows, order[..., None], axis=1), counts)


def pad(lists: Sequence[np.ndarray], columns: int) -> Padded:
    """Rows (n, columns) of each query as one array (Q, N, columns), N at least 1; padding is zero."""
    counts = np.array([len(rows) for rows in lists], dtype=np.int64)
    made = Padded(np.zeros((len(lists), int(counts.max(initial=1)), columns)), counts)
    if counts.any():
        made.rows[made.real] = np.concatenate([rows for rows in lists if len(rows)])
    return made


def blocks(counts: np.ndarray, cells_of_one: int) -> Iterator[np.ndarray]:
    """Places of queries with similar ``counts`` (Q,) of true windows, about CELLS numbers together.

    ``cells_of_one``: numbers that are compared for each true window.  Queries without windows are left out.
    """
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    widths = 1 << np.ceil(np.log2(counts[order])).astype(np.int64)  # a block holds one width: 1, 2, 4, ...
    for width in np.unique(widths).tolist():
        alike = order[widths == width]
        size = max(1, CELLS // (width * max(cells_of_one, 1)))
        yield from (alike[first:first + size] for first in range(0, len(alike), size))
