"""FINCH: clustering by first neighbours, one partition per level, no parameters.

Sarfraz et al., "Efficient Parameter-free Clustering Using First Neighbor Relations", CVPR 2019.  Written from the
equations.  The LICENSE of the authors' repository is MIT, but a header in its source speaks of academic use, also for
re-implementations: ask them before commercial use.

N points, n clusters so far, D width.  distance = 1 - cosine, in [0, 2].  Distances are float64, pair by pair; float32
products are used only where their rounding cannot change the outcome (`Rows`), so no result depends on a block size.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from hicm.config import MemoryConfig
from hicm.errors import UserError
from hicm.memory.hierarchies import Clustering
from hicm.memory.hierarchies.shapes import number_clusters
from hicm.memory.neighbours import first_neighbours
from hicm.memory.neighbours.exact import BLOCK, unit_rows
from hicm.memory.neighbours.rows import Rows

PAIRS = 1 << 22  # links held in memory at once
CHUNK = 4096  # points whose float64 copies are held in memory at once


def describe(settings: MemoryConfig) -> dict[str, Any]:
    """What decides the partitions; newer settings are left out at their defaults, so that older banks still match."""
    neighbours = {} if settings.neighbours == "auto" else {"neighbours": settings.neighbours}
    seed = {"seed": settings.seed} if settings.seed and settings.neighbours != "exact" else {}
    return {"method": "finch", "early_exit": settings.early_exit, **neighbours, **seed}


def partition(embeddings: np.ndarray, settings: MemoryConfig) -> Clustering:
    """`cluster` with the values of the settings."""
    return cluster(embeddings, settings.early_exit, neighbours=settings.neighbours, seed=settings.seed)


def finch(points: np.ndarray, early_exit: bool = True, block: int = BLOCK, neighbours: str = "auto",
          seed: int = 0) -> np.ndarray:
    """The labels of `cluster`, int64 [N, P]."""
    return cluster(points, early_exit, block, neighbours, seed).labels


def cluster(points: np.ndarray, early_exit: bool = True, block: int = BLOCK, neighbours: str = "auto",
            seed: int = 0) -> Clustering:
    """Partitions of points [N, D], compared as float32.

    Partitions are nested; labels run from 0 in the order of each cluster's first point.  With ``early_exit``,
    clusters farther apart than the widest link of the first step are not joined.  ``neighbours``: "exact", "auto"
    (exact up to 100,000 different points or clusters, approximate above), or "approximate" (for the points, however
    few there are; then for clusters as in "auto").  ``seed`` is for approximate neighbours.  ``block`` rows are
    compared at once; it does not affect the result.
    Raises UserError when there is no point, or when a point is not finite.
    """
    points = _checked(points)
    rows = Rows(points)
    _refuse_not_finite(rows)
    nearest, agreement = first_neighbours(rows, neighbours, seed, block)
    labels = _components(len(points), iter([(np.arange(len(points)), nearest)]))
    widest = _widest_link(rows, nearest, block) if early_exit and len(points) > 2 else np.inf
    partitions, agreements, sums, merged = [labels], [agreement], points, labels
    while (clusters := int(labels.max()) + 1) > 1:
        sums, sizes = _sums(sums, merged, clusters), np.bincount(labels)
        rows = Rows(sums / sizes[:, None])  # means of the points, not of means
        nearest, agreement = first_neighbours(rows, "exact" if neighbours == "exact" else "auto", seed, block)
        agreements.append(agreement)
        merged = _components(clusters, _links(rows, nearest, widest, block))
        count = int(merged.max()) + 1
        if count in (1, clusters):
            break
        labels = merged[labels]
        partitions.append(labels)
        if clusters - count == 1:
            break
    return Clustering(np.stack(partitions, axis=1), min((a for a in agreements if a is not None), default=None))


def _checked(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points)
    if len(points) == 0:
        raise UserError("clustering: no points to cluster; the memory needs at least one caption")
    if points.ndim != 2 or points.shape[1] == 0:
        raise UserError(f"clustering: embeddings of shape {points.shape}; expected [captions, width]")
    with np.errstate(over="ignore"):  # refused as not finite
        return np.ascontiguousarray(points, np.float32)


def _refuse_not_finite(rows: Rows) -> None:
    wrong = np.flatnonzero(~np.isfinite(rows.squares))
    if len(wrong):
        raise UserError(f"clustering: embedding {wrong[0]} of {len(rows)} (counted from 0) has a number that is not "
                        f"finite in float32 ({len(wrong)} such embeddings in all); encode their captions again")


def _direct(rows: Rows, nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The link of each point to its nearest: (distance [n], weight [n]); mutual nearest neighbours weigh 2."""
    points = np.arange(len(nearest))
    return 1 - rows.cosines(points, nearest), np.where(nearest[nearest] == points, 2.0, 1.0)


def _siblings(nearest: np.ndarray, order: np.ndarray | None = None) -> list[np.ndarray]:
    """Groups [g], g > 1, of points that share their nearest.  ``order`` [n] sorts by nearest, then within groups."""
    order = np.argsort(nearest, kind="stable") if order is None else order
    groups = np.split(order, np.flatnonzero(np.diff(nearest[order])) + 1)
    return [group for group in groups if len(group) > 1]


def _products(rows: Rows, left: np.ndarray, right: np.ndarray,
              block: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks (i [a], j [b], float32 products [a, b]) of all pairs of ``left`` and ``right``."""
    for a in range(0, len(left), block):
        for b in range(0, len(right), block):
            i, j = left[a:a + block], right[b:b + block]
            yield i, j, unit_rows(rows, i) @ unit_rows(rows, j).T


def _widest_link(rows: Rows, nearest: np.ndarray, block: int) -> float:
    """tau = max over i, j of D_ij * G_ij.

    The angle between siblings is at most the sum of their angles to the neighbour they share, so only few groups of
    siblings are examined: those where the sum of the two widest angles could exceed the maximum so far.
    """
    distances, weights = _direct(rows, nearest)
    widest = float((distances * weights).max())
    angles = np.arccos(1 - distances)
    groups = _siblings(nearest, np.lexsort((-angles, nearest)))
    if not groups:
        return widest
    first, second = np.array([group[:2] for group in groups]).T
    widest = max(widest, float(1 - rows.cosines(first, second).min()))  # the likeliest first, to stop early
    bounds = 1 - np.cos(np.minimum(angles[first] + angles[second], np.pi))
    for number in np.argsort(-bounds, kind="stable"):
        if bounds[number] < widest - 1e-6:  # arccos rounds
            break
        for i, j, product in _products(rows, groups[number], groups[number], block):
            far = product <= min(product.min(), 1 - widest) + rows.margin
            a, b = np.nonzero(far)
            widest = max(widest, float(1 - rows.cosines(i[a], j[b]).min(initial=1)))
    return widest


def _links(rows: Rows, nearest: np.ndarray, widest: float, block: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (i, j) with G_ij > 0 and D_ij * G_ij <= widest, except siblings that are linked through their nearest."""
    distances, weights = _direct(rows, nearest)
    near = distances * weights <= widest
    yield np.flatnonzero(near), nearest[near]
    for group in _siblings(nearest):
        cut = group[~near[group]]
        for i, j, product in _products(rows, cut, group, block):
            a, b = np.nonzero(product >= 1 - widest - rows.margin)
            i, j = i[a], j[b]
            close = 1 - rows.cosines(i, j) <= widest
            yield i[close], j[close]


def _components(count: int, links: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Connected components [count], numbered by their smallest member; links are merged in as they arrive."""
    labels, total = np.arange(count), 0
    held: list[tuple[np.ndarray, np.ndarray]] = []

    def merge() -> np.ndarray:
        i, j = (np.concatenate(side) for side in zip(*held, strict=True))
        graph = scipy.sparse.coo_array((np.ones(len(i), bool), (labels[i], labels[j])), shape=(count, count))
        return connected_components(graph, directed=False)[1][labels]

    for pair in links:
        held.append(pair)
        total += len(pair[0])
        if total > PAIRS:
            labels, held, total = merge(), [], 0
    if held:
        labels = merge()
    return number_clusters(labels)


def _sums(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Sum of the rows of ``values`` [n, D] in each cluster, float64 [count, D]."""
    order = np.argsort(labels, kind="stable")
    sums = np.zeros((count, values.shape[1]))
    for start in range(0, len(order), CHUNK):
        chunk = order[start:start + CHUNK]
        first = np.flatnonzero(np.diff(labels[chunk], prepend=-1))
        member = scipy.sparse.csr_array((np.ones(len(chunk)), np.arange(len(chunk)), np.append(first, len(chunk))))
        sums[labels[chunk[first]]] += member @ values[chunk].astype(np.float64)
    return sums
