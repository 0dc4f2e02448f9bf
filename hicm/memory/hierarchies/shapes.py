"""What hierarchies of a planned shape share: the settings give the shape of the tree, where FINCH finds it.

``branching`` children per node on average, ``top`` nodes or more on the coarsest level.
"""

import numpy as np

from hicm.errors import UserError


def check_shape(points: np.ndarray, branching: int, top: int) -> None:
    """Raise UserError when there is no point, or when the shape is impossible."""
    if len(points) == 0:
        raise UserError("clustering: no points to cluster; the memory needs at least one caption")
    if branching < 2:
        raise UserError(f"memory.branching={branching}: expected 2 or more children per node")
    if top < 1:
        raise UserError(f"memory.top={top}: expected 1 or more nodes on the coarsest level")


def planned_counts(points: int, branching: int, top: int) -> list[int]:
    """The number of clusters of each partition, finest first; the first has at least two points per cluster.

    >>> planned_counts(1000, 5, 8), planned_counts(20, 5, 8), planned_counts(3, 5, 8)
    ([200, 40, 8], [8], [1])
    """
    counts = [max(points // branching, min(top, points // 2), 1)]
    while counts[-1] // branching >= max(top, 2):
        counts.append(counts[-1] // branching)
    return counts


def different_rows(points: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different rows, scaled to length 1 [n, D], how often each occurs [n], and the row of each point [N].

    Rows keep the order of their first occurrence.
    """
    unit = np.asarray(points, np.float32) + np.float32(0)  # -0.0 becomes 0.0; rows are compared by their bytes
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    whole = np.ascontiguousarray(unit).view(np.dtype((np.void, unit.itemsize * unit.shape[1])))[:, 0]
    _, first, twin = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    twin = np.argsort(order)[twin]
    return unit[first[order]].astype(dtype, copy=False), np.bincount(twin), twin


def number_clusters(labels: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from 0 in the order of their first point."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
