"""Embeddings to nested partitions, by the method of ``memory.hierarchy``."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import MemoryConfig
from hicm.files import atomic
from hicm.memory.finch import finch


def describe_hierarchy(settings: MemoryConfig) -> dict[str, Any]:
    """What decides the partitions, as plain data."""
    if settings.hierarchy == "finch":
        exact = {} if settings.neighbours == "auto" else {"neighbours": settings.neighbours, "seed": settings.seed}
        return {"method": "finch", "early_exit": settings.early_exit, **exact}
    seed = {"seed": settings.seed} if settings.hierarchy == "kmeans" else {}
    return {"method": settings.hierarchy, "branching": settings.branching, "top": settings.top, **seed}


def partitions(embeddings: np.ndarray, settings: MemoryConfig) -> np.ndarray:
    """Labels int64 [N, P] of embeddings [N, D]: column p is partition p + 1, finest first, nested.

    Raises UserError when the method cannot take so many captions.
    """
    return finch(embeddings, settings.early_exit)


def kept(path: Path, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array of ``path`` if it was made for ``key``, else ``make()``, written there."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) == key:
                return stored["array"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # absent, or of an interrupted copy: made again
    array = make()
    with atomic(path) as temporary:
        np.savez(temporary, key=key, array=array)
    return array
