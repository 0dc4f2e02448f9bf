"""NumPy's ``.npy``: one array."""

from pathlib import Path

import numpy as np

from hicm.data.feature_stores.arrays import few_rows

SUFFIXES = (".npy",)
PER_PROCESS = False

peek = few_rows


def open_file(path: Path) -> np.ndarray:
    """The array, left on disk until it is read.  Objects are refused: they would be pickles."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def load(array: np.ndarray) -> np.ndarray:
    """All of it."""
    return np.array(array)
