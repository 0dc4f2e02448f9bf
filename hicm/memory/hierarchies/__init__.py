"""Embeddings to nested partitions, by the method of ``memory.hierarchy``."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import MemoryConfig
from hicm.files import atomic
from hicm.memory.finch import Clustering, cluster
from hicm.memory.trees import agglomerative, kmeans


def describe_hierarchy(settings: MemoryConfig) -> dict[str, Any]:
    """What decides the partitions, as plain data."""
    if settings.hierarchy == "finch":
        neighbours = {} if settings.neighbours == "auto" else {"neighbours": settings.neighbours}
        seed = {"seed": settings.seed} if settings.seed and settings.neighbours != "exact" else {}
        return {"method": "finch", "early_exit": settings.early_exit, **neighbours, **seed}
    seed = {"seed": settings.seed} if settings.hierarchy == "kmeans" else {}
    return {"method": settings.hierarchy, "branching": settings.branching, "top": settings.top, **seed}


def partitions(embeddings: np.ndarray, settings: MemoryConfig) -> Clustering:
    """Labels int64 [N, P] of embeddings [N, D]: column p is partition p + 1, finest first, nested.

    Raises UserError when the method cannot take so many captions.
    """
    match settings.hierarchy:
        case "agglomerative":
            return Clustering(agglomerative(embeddings, settings.branching, settings.top), None)
        case "kmeans":
            return Clustering(kmeans(embeddings, settings.branching, settings.top, settings.seed), None)
        case _:
            return cluster(embeddings, settings.early_exit, neighbours=settings.neighbours, seed=settings.seed)


def kept(path: Path, key: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of ``path`` if they were made for ``key``, else ``make()``, written there."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        if str(arrays.pop("key")) == key:
            return arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # absent, or of an interrupted copy: made again
    arrays = make()
    with atomic(path) as temporary:
        np.savez(temporary, key=key, **arrays)
    return arrays
