"""Bottom-up average linkage under cosine distance, with FINCH's output.

N points, n of them different, D width; captions written twice are one point, so they are never separated.
"""

from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from hicm.config import MemoryConfig
from hicm.errors import UserError
from hicm.memory.hierarchies import Clustering
from hicm.memory.hierarchies.shapes import check_shape, different_rows, number_clusters, planned_counts

MOST = 20_000  # different points: 1.6 GB of distances, and as much again while they are joined


def describe(settings: MemoryConfig) -> dict[str, Any]:
    """What decides the partitions."""
    return {"method": "agglomerative", "branching": settings.branching, "top": settings.top}


def partition(embeddings: np.ndarray, settings: MemoryConfig) -> Clustering:
    """`agglomerative` with the values of the settings."""
    return Clustering(agglomerative(embeddings, settings.branching, settings.top), None)


def agglomerative(points: np.ndarray, branching: int = 5, top: int = 8) -> np.ndarray:
    """Labels int64 [N, P] of points [N, D] by average linkage under cosine distance; no randomness.

    One tree is built and cut at n / branching, n / branching^2, ... clusters; the last cut leaves ``top`` or more.
    Column p is partition p + 1, finest first; partitions are nested, labels run from 0 in the order of each cluster's
    first point.  Choose it for a small memory whose levels should have planned sizes, or to see what FINCH's own rule
    contributes; check the sizes, since on captions one cluster easily swallows most of the others.  It holds all
    n * (n - 1) / 2 distances: raises UserError above 20,000 different points, and when there is no point.

    Source: UPGMA (Sokal and Michener, 1958), as in scikit-learn's AgglomerativeClustering(linkage="average"), which
    calls the same scipy.cluster.hierarchy.linkage.
    """
    check_shape(points, branching, top)
    unit, _, twin = different_rows(points, np.float64)
    if len(unit) > MOST:
        raise UserError(f"memory.hierarchy=agglomerative: {len(unit):,} different captions need "
                        f"{len(unit) * (len(unit) - 1) // 2:,} distances, expected at most {MOST:,} captions; use "
                        "kmeans or finch")
    joins = _joins(unit)
    counts = planned_counts(len(unit), branching, top)
    return np.stack([number_clusters(_cut(joins, count)[twin]) for count in counts], axis=1)


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
    member = np.arange(2 * count - 1)  # one row of each cluster
    for join, (left, _) in enumerate(tree, start=count):
        member[join] = member[left]
    return member[tree]


def _cut(joins: np.ndarray, clusters: int) -> np.ndarray:
    """Labels [n] after the first joins, when ``clusters`` clusters are left."""
    count = len(joins) + 1
    left, right = joins[:count - clusters].T
    graph = scipy.sparse.coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1]
