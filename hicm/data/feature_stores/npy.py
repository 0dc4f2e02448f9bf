"""NumPy's ``.npy``: one array."""

from pathlib import Path

import numpy as np

from hicm.arrays import map_npy
from hicm.data.feature_stores.arrays import few_rows

SUFFIXES = (".npy",)
PER_PROCESS = False

peek = few_rows


def open_file(path: Path) -> np.ndarray:
    """The array, left on disk until it is read."""
    return map_npy(path)


def open_part(path: Path, start: int, size: int) -> np.ndarray:
    """The array in these bytes of a file."""
    return map_npy(path, start, size)


def load(array: np.ndarray) -> np.ndarray:
    """All of it."""
    return np.array(array)
