"""Building the memory's tree: FINCH on made-up captions, plainly with all distances, and by the package finch-clust."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from hicm.memory.hierarchies.finch import cluster
from hicm.recipes.bench.race import Asked, Run, race, to_json

ORDER = 6
SIZES = {"tiny": (300, 64), "small": (3000, 384), "base": (10337, 768)}  # captions (YouCook2's) and width
OURS, PLAIN, PACKAGE = "exact neighbours", "all distances, plainly", "finch-clust"
LATENT = 64  # dimensions in which clusters differ
CHUNK = 8192  # embeddings made at once
MOST = 20_000  # above, the package holds too much at once


def measure(asked: Asked) -> dict[str, Any]:
    """Without the early exit, which has no effect in finch-clust 0.2.3; partitions are compared."""
    count, width = SIZES[asked.size]
    points = embeddings(count, width)
    works: dict[str, Callable[[], Any]] = {
        OURS: lambda: cluster(points, early_exit=False, neighbours="exact").labels, PLAIN: lambda: plain(points)}
    notes = []
    if find_spec("finch") is None:
        notes.append(f"{PACKAGE}: not measured: pip install finch-clust")
    else:
        works[PACKAGE] = lambda: by_package(points)
    timed = race([Run(name, work, "" if name == OURS else OURS, lambda _: {"captions": count})
                  for name, work in works.items()], asked)
    own = timed[OURS].output
    return {"settings": {"captions": count, "width": width, "clusters": (own.max(axis=0) + 1).tolist()},
            "runs": to_json(timed), "notes": notes,
            "checks": [f"{name}: partitions {'equal' if same_partitions(own, timed[name].output) else 'differ'}"
                       for name in works if name != OURS]}


def same_partitions(own: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether labels [N, P] are equal; finch-clust has no last level that joins just two clusters."""
    levels = theirs.shape[1]
    last_joins_two = own.shape[1] == levels + 1 and own[:, -2].max() - own[:, -1].max() == 1
    return (own.shape[1] == levels or last_joins_two) and np.array_equal(own[:, :levels], theirs)


def embeddings(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Float32 [count, width]: topics of groups of captions, some captions far from their group."""
    rng = np.random.default_rng(seed)
    topics = rng.standard_normal((max(count // 400, 4), LATENT), dtype=np.float32)
    groups = topics[rng.integers(0, len(topics), max(count // 12, 8))]
    groups += 0.7 * rng.standard_normal(groups.shape, dtype=np.float32)
    spread = rng.standard_normal((LATENT, width), dtype=np.float32) / np.float32(LATENT**0.5)
    mean = 0.5 * rng.standard_normal(width, dtype=np.float32)
    points = np.empty((count, width), np.float32)
    for start in range(0, count, CHUNK):
        rows = points[start:start + CHUNK]
        scale = rng.lognormal(-0.7, 0.5, (len(rows), 1)) * np.where(rng.random((len(rows), 1)) < 0.005, 4, 1)
        own = scale.astype(np.float32) * rng.standard_normal((len(rows), LATENT), dtype=np.float32)
        np.matmul(groups[rng.integers(0, len(groups), len(rows))] + own, spread, out=rows)
        rows += mean
    return points


def plain(points: np.ndarray) -> np.ndarray:
    """FINCH with a matrix of all distances per level: labels [N, P]."""
    labels, means = np.arange(len(points)), points.astype(np.float64)
    partitions: list[np.ndarray] = []
    while len(means) > 1:
        unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        distances = 1 - unit @ unit.T
        np.fill_diagonal(distances, np.inf)
        nearest, rows = distances.argmin(axis=1), np.arange(len(means))
        links = scipy.sparse.coo_matrix((np.ones(len(rows)), (rows, nearest)), shape=distances.shape)
        count, joined = connected_components(links, directed=False)
        _, firsts = np.unique(joined, return_index=True)
        joined = np.argsort(np.argsort(firsts))[joined]  # numbered by their first points
        if count in (1, len(means)) and partitions:
            break
        labels = joined[labels]
        partitions.append(labels)
        last, sums = len(means) - count == 1, np.zeros((count, points.shape[1]))
        np.add.at(sums, labels, points)
        means = sums / np.bincount(labels)[:, None]
        if last and len(partitions) > 1:
            break
    return np.stack(partitions, axis=1)


def by_package(points: np.ndarray) -> np.ndarray:
    """The authors' package with exact neighbours: labels [N, P]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a package that approximate neighbours would need
        from finch import FINCH  # type: ignore[import-untyped]

        return np.asarray(FINCH(points, distance="cosine", verbose=False, ann_threshold=max(MOST, len(points)))[0])
