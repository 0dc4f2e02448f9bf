"""Top-down k-means on normalised rows, with FINCH's output.

N points, n of them different, D width; captions written twice are one point, so they are never separated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.config import MemoryConfig
from hicm.memory.hierarchies import Clustering
from hicm.memory.hierarchies.shapes import check_shape, different_rows, number_clusters, planned_counts

LARGE = 50_000  # points; larger clusters are split by mini-batches
BATCH = 8192  # points per mini-batch
MANY = 20_000  # points from which on a progress bar is shown


def describe(settings: MemoryConfig) -> dict[str, Any]:
    """What decides the partitions."""
    return {"method": "kmeans", "branching": settings.branching, "top": settings.top, "seed": settings.seed}


def partition(embeddings: np.ndarray, settings: MemoryConfig) -> Clustering:
    """`kmeans` with the values of the settings."""
    return Clustering(kmeans(embeddings, settings.branching, settings.top, settings.seed), None)


def kmeans(points: np.ndarray, branching: int = 5, top: int = 8, seed: int = 0) -> np.ndarray:
    """Labels int64 [N, P] of points [N, D] by k-means on normalised rows, from the top down.

    All points are split into the coarsest clusters, each of these again, and so on: nested by construction.  The
    numbers of clusters are about those of `agglomerative`, larger clusters get more children, and columns and labels
    are as there.  Equal seeds give equal labels.  Choose it for memories of up to millions of captions, and for nodes
    of even size.  Raises UserError when there is no point.

    Source: hierarchical k-means (Nister and Stewenius, "Scalable Recognition with a Vocabulary Tree", CVPR 2006), with
    scikit-learn's KMeans, and its MiniBatchKMeans where a cluster holds more than 50,000 points.
    """
    check_shape(points, branching, top)
    unit, copies, twin = different_rows(points, np.float32)
    random, labels = np.random.RandomState(seed), np.zeros(len(unit), np.int64)
    partitions: list[np.ndarray] = []
    counts = planned_counts(len(unit), branching, top)[::-1]
    with _one_thread(), tqdm(counts, "k-means", unit="level", disable=len(unit) < MANY) as levels:
        for count in levels:
            finer = _split(unit, copies, labels, count, random)
            if not partitions or finer.max() > labels.max():
                partitions.append(number_clusters(finer[twin]))
            labels = finer
    if len(partitions) > 1 and partitions[0].max() == 0:
        partitions = partitions[1:]
    return np.stack(partitions[::-1], axis=1)


def _split(unit: np.ndarray, copies: np.ndarray, labels: np.ndarray, count: int,
           random: np.random.RandomState) -> np.ndarray:
    """Labels [n] of about ``count`` clusters inside the given ones; a cluster gets children by its size."""
    order = np.argsort(labels, kind="stable")
    split, used = np.empty_like(labels), 0
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        children = round(len(members) * count / len(unit))
        if children > 1:
            split[members] = used + number_clusters(_nearest_centre(unit[members], copies[members], children, random))
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
    """One thread, so that sums have one order and labels do not depend on the number of processors.

    scikit-learn warns when rows are so close that it finds fewer clusters than it was asked for; the labels are
    renumbered, so the warning is suppressed.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
