"""Hierarchies turn embeddings into nested partitions; each stands in a module of its own, found by its name.

``memory.hierarchy`` names the module: finch, agglomerative, kmeans.  A new one is a new module here, or a module of
another package under the entry-point group ``hicm.hierarchies``, with

    partition(embeddings, settings)  [N, D] -> `Clustering`
    describe(settings)               what decides the partitions, as plain data, for the bank's info
"""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from hicm.config import HIERARCHIES, MemoryConfig
from hicm.plugins import find_module


class Clustering(NamedTuple):
    """Nested partitions of N points."""

    labels: np.ndarray  # int64 [N, P]: column p is partition p + 1, finest first
    agreement: float | None  # lowest share of exact among approximate neighbours, over the levels; None: all exact


def describe_hierarchy(settings: MemoryConfig) -> dict[str, Any]:
    """What decides the partitions, as plain data."""
    return _find(settings.hierarchy).describe(settings)


def partitions(embeddings: np.ndarray, settings: MemoryConfig) -> Clustering:
    """Partitions of embeddings [N, D] by the method of ``memory.hierarchy``, finest first, nested.

    Raises UserError when there is no such method, or when it cannot take so many captions.
    """
    return _find(settings.hierarchy).partition(embeddings, settings)


def _find(name: str) -> ModuleType:
    return find_module(name=name, **HIERARCHIES)
