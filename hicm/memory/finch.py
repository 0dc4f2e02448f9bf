"""FINCH: clustering by first neighbours, a partition at every level, no parameter (Sarfraz et al., CVPR 2019).

Sarfraz et al., "Efficient Parameter-free Clustering Using First Neighbor Relations", CVPR 2019.  Written from the
equations.  The LICENSE of the authors' repository is MIT; its source header speaks of academic use, also for
re-implementations: ask them before commercial use.

N points, n clusters so far, D width.  distance = 1 - cosine, in [0, 2].
"""

from collections.abc import Iterator

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from hicm.errors import UserError

PAIRS = 1 << 22  # links held at once


def finch(points: np.ndarray, early_exit: bool = True, block: int = 1024) -> np.ndarray:
    """Labels int64 [N, P] of points [N, D]: column p is partition p + 1, finest first.

    Partitions are nested, labels run from 0 in the order of each cluster's first point.  With ``early_exit``
    clusters farther apart than the widest link of the first step are not joined.  ``block`` rows of distances are
    held at once; it has no influence on the result.  Raises UserError when there is no point.
    """
    if len(points) == 0:
        raise UserError("clustering: no point to cluster; the memory needs at least one caption")
    original = points.astype(np.float32).astype(np.float64)  # float64 keeps near ties from hanging on block sizes
    unit = _unit(original)
    neighbours = _first_neighbours(original, unit, block)
    labels = _components(len(unit), _links(unit, neighbours, np.inf, block))
    widest = _widest_link(unit, neighbours, block) if early_exit and len(unit) > 2 else np.inf
    partitions = [labels]
    while (clusters := int(labels.max()) + 1) > 1:
        means = _means(original, labels, clusters)
        unit = _unit(means)
        merged = _components(clusters, _links(unit, _first_neighbours(means, unit, block), widest, block))
        count = int(merged.max()) + 1
        if count in (1, clusters):
            break
        labels = merged[labels]
        partitions.append(labels)
        if clusters - count == 1:
            break
    return np.stack(partitions, axis=1)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _first_neighbours(rows: np.ndarray, unit: np.ndarray, block: int) -> np.ndarray:
    """nn(i) [n]: the nearest other row, the one of lowest index on ties.

    Identical rows (captions written twice) are at distance 0 exactly, whatever the rounding of a product: each has
    its first twin as nearest, and all others see the first of them.
    """
    _, first, twin = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    first_of = first[twin.ravel()]
    own = np.sort(first)  # one row of each kind, in index order
    nearest = np.zeros(len(rows), np.int64)
    starts = range(0, len(own), block)
    for start in tqdm(starts, "nearest neighbours", unit="block", disable=len(starts) < 16):
        cosines = np.minimum(unit[own[start:start + block]] @ unit[own].T, 1)
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -np.inf
        nearest[own[start:start + block]] = own[np.argmax(cosines, axis=1)]
    copies = np.flatnonzero(first_of != np.arange(len(rows)))
    nearest[copies] = first_of[copies]
    originals, first_copy = np.unique(first_of[copies], return_index=True)
    nearest[originals] = copies[first_copy]
    return nearest


def _direct(unit: np.ndarray, neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each point's link to its nearest: (distance [n], weight [n]); mutual nearest neighbours weigh 2."""
    distances = 1 - np.clip(np.einsum("nd,nd->n", unit, unit[neighbours]), -1, 1)
    mutual = neighbours[neighbours] == np.arange(len(neighbours))
    return distances, np.where(mutual, 2.0, 1.0)


def _siblings(unit: np.ndarray, neighbours: np.ndarray,
              block: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of points that share their nearest: (rows [a], columns [b], distances [a, b]), all such pairs once."""
    order = np.argsort(neighbours, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(neighbours[order])) + 1):
        for start in range(0, len(group) - 1, block):
            rows, columns = group[start:start + block], group[start:]
            yield rows, columns, 1 - np.clip(unit[rows] @ unit[columns].T, -1, 1)


def _widest_link(unit: np.ndarray, neighbours: np.ndarray, block: int) -> float:
    """tau = max over i, j of D_ij * G_ij."""
    distances, weights = _direct(unit, neighbours)
    widest = float((distances * weights).max())
    for _, _, between in _siblings(unit, neighbours, block):
        widest = max(widest, float(between[_upper(between)].max()))
    return widest


def _links(unit: np.ndarray, neighbours: np.ndarray, widest: float,
           block: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (i, j) with G_ij > 0 and D_ij * G_ij <= widest."""
    distances, weights = _direct(unit, neighbours)
    near = np.flatnonzero(distances * weights <= widest)
    yield near, neighbours[near]
    if np.isinf(widest):
        return  # siblings are linked through the neighbour they share
    for rows, columns, between in _siblings(unit, neighbours, block):
        i, j = np.nonzero(_upper(between) & (between <= widest))
        yield rows[i], columns[j]


def _upper(between: np.ndarray) -> np.ndarray:
    """Where a block's column stands after its row, so that a pair counts once and a point is not its own sibling."""
    return np.arange(between.shape[1]) > np.arange(between.shape[0])[:, None]


def _components(count: int, links: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Connected components [count] numbered by their smallest member; links are folded in as they come."""
    labels, held, total = np.arange(count), [], 0

    def fold() -> np.ndarray:
        i, j = (np.concatenate(side) for side in zip(*held, strict=True))
        graph = scipy.sparse.coo_array((np.ones(len(i), bool), (labels[i], labels[j])), shape=(count, count))
        return connected_components(graph, directed=False)[1][labels]

    for pair in links:
        held.append(pair)
        total += len(pair[0])
        if total > PAIRS:
            labels, held, total = fold(), [], 0
    if held:
        labels = fold()
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _means(points: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean of the original rows of each cluster [count, D]."""
    member = scipy.sparse.csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))),
                                    shape=(count, len(labels)))
    return (member @ points) / np.bincount(labels, minlength=count)[:, None]
