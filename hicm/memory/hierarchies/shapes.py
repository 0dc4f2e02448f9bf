"""Other hierarchies than FINCH: bottom-up average linkage and top-down k-means, with FINCH's output.

Both take the shape of the tree as given (``branching``, ``top``) where FINCH finds it.  N points, n of them different,
D width; captions written twice are one point, so they are never parted.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from hicm.errors import UserError

MOST = 20_000  # different points for average linkage: 1.6 GB of distances, and as much again while they are joined
LARGE = 50_000  # points from which on k-means goes by batches
BATCH = 8192


def agglomerative(points: np.ndarray, branching: int = 5, top: int = 8) -> np.ndarray:
    """Labels int64 [N, P] of points [N, D] by average linkage under cosine distance; no randomness.

    One tree is built and cut at n / branching, n / branching^2, ... clusters, the last cut at ``top`` or more.  Column
    p is partition p + 1, finest first; partitions are nested, labels run from 0 in the order of each cluster's first
    point.  Choose it for a small memory whose levels should have planned sizes, or to ask what FINCH's own rule
    contributes; look at the sizes, for captions one cluster easily swallows most of the others.  It holds all
    n * (n - 1) / 2 distances: UserError above 20,000 different points, or without any.

    Source: UPGMA (Sokal and Michener, 1958), as in scikit-learn's AgglomerativeClustering(linkage="average"), which
    hands it to the same scipy.cluster.hierarchy.linkage.
    """
    _check(points, branching, top)
    unit, _, twin = _different(points, np.float64)
    if len(unit) > MOST:
        raise UserError(f"memory.hierarchy=agglomerative: {len(unit):,} different captions need "
                        f"{len(unit) * (len(unit) - 1) // 2:,} distances, expected at most {MOST:,} captions; use "
                        "kmeans or finch")
    joins = _joins(unit)
    return np.stack([_number(_cut(joins, count)[twin]) for count in _counts(len(unit), branching, top)], axis=1)


def kmeans(points: np.ndarray, branching: int = 5, top: int = 8, seed: int = 0) -> np.ndarray:
    """Labels int64 [N, P] of points [N, D] by k-means on normalised rows, from the top down.

    All points are split into the coarsest clusters, each of these again, and so on: nested by construction.  Counts
    are about those of `agglomerative`, larger clusters get more children, and columns and labels are as there.  Equal
    seeds give equal labels.  Choose it for memories of up to millions of captions, and for nodes of even size.  Raises
    UserError when there is no point.

    Source: hierarchical k-means (Nister and Stewenius, "Scalable Recognition with a Vocabulary Tree", CVPR 2006), with
    scikit-learn's KMeans, and its MiniBatchKMeans where a cluster holds more than 50,000 points.
    """
    _check(points, branching, top)
    unit, copies, twin = _different(points, np.float32)
    random, labels, partitions = np.random.RandomState(seed), np.zeros(len(unit), np.int64), []
    counts = _counts(len(unit), branching, top)[::-1]
    with _one_thread(), tqdm(counts, "k-means", unit="level", disable=len(unit) < MOST) as levels:
        for count in levels:
            finer = _split(unit, copies, labels, count, random)
            if not partitions or finer.max() > labels.max():
                partitions.append(_number(finer[twin]))
            labels = finer
    if len(partitions) > 1 and partitions[0].max() == 0:
        partitions = partitions[1:]
    return np.stack(partitions[::-1], axis=1)


def _check(points: np.ndarray, branching: int, top: int) -> None:
    if len(points) == 0:
        raise UserError("clustering: no point to cluster; the memory needs at least one caption")
    if branching < 2:
        raise UserError(f"memory.branching={branching}: expected 2 or more children a node")
    if top < 1:
        raise UserError(f"memory.top={top}: expected 1 node or more on the coarsest level")


def _counts(points: int, branching: int, top: int) -> list[int]:
    """Clusters of each partition, finest first; the first holds two points a cluster or more.

    >>> _counts(1000, 5, 8), _counts(20, 5, 8), _counts(3, 5, 8)
    ([200, 40, 8], [8], [1])
    """
    counts = [max(points // branching, min(top, points // 2), 1)]
    while counts[-1] // branching >= max(top, 2):
        counts.append(counts[-1] // branching)
    return counts


def _different(points: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different rows at length 1 [n, D] in the order they come, copies of each [n], and the row of each point [N]."""
    unit = np.asarray(points, np.float32) + np.float32(0)  # -0.0 becomes 0.0; rows are compared by their bytes
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    whole = np.ascontiguousarray(unit).view(np.dtype((np.void, unit.itemsize * unit.shape[1])))[:, 0]
    _, first, twin = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    twin = np.argsort(order)[twin]
    return unit[first[order]].astype(dtype, copy=False), np.bincount(twin), twin


def _joins(unit: np.ndarray) -> np.ndarray:
    """Pairs of rows [n - 1, 2] whose clusters are joined, nearest first."""
    from scipy.cluster.hierarchy import linkage

    count = len(unit)
    if count == 1:
        return np.zeros((0, 2), np.int64)
    distances, start = np.empty(count * (count - 1) // 2), 0
    for row in tqdm(range(count - 1), "distances", unit="row", disable=count < 5000):
        distances[start:start + count - row - 1] = 1 - unit[row + 1:] @ unit[row]
        start += count - row - 1
    tree = linkage(np.maximum(distances, 0, out=distances), "average")[:, :2].astype(np.int64)
    member = np.arange(2 * count - 1)  # one row of every cluster
    for join, (left, _) in enumerate(tree, start=count):
        member[join] = member[left]
    return member[tree]


def _cut(joins: np.ndarray, clusters: int) -> np.ndarray:
    """Labels [n] after the first joins, when so many clusters are left."""
    count = len(joins) + 1
    left, right = joins[:count - clusters].T
    graph = scipy.sparse.coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _split(unit: np.ndarray, copies: np.ndarray, labels: np.ndarray, count: int,
           random: np.random.RandomState) -> np.ndarray:
    """Labels [n] of about ``count`` clusters inside the given ones; a cluster gets children by its size."""
    order = np.argsort(labels, kind="stable")
    split, used = np.empty_like(labels), 0
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        children = round(len(members) * count / len(unit))
        if children > 1:
            split[members] = used + _number(_nearest_centre(unit[members], copies[members], children, random))
        else:
            split[members] = used
        used = split[members].max() + 1
    return split


def _nearest_centre(rows: np.ndarray, weights: np.ndarray, clusters: int, random: np.random.RandomState) -> np.ndarray:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    if len(rows) > LARGE:
        model = MiniBatchKMeans(clusters, n_init=1, batch_size=BATCH, random_state=random)
    else:
        model = KMeans(clusters, n_init=1, max_iter=50, random_state=random)
    return model.fit(rows, sample_weight=weights).labels_


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, and so the same labels, whatever the number of processors.

    Rows so close that fewer clusters than asked for come out are no reason to warn: the labels are numbered again.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _number(labels: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from 0 in the order of their first point."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
