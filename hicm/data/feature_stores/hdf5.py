"""HDF5: datasets, or groups of datasets."""

from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.feature_stores.arrays import few_rows, line
from hicm.errors import UserError

SUFFIXES = (".h5", ".hdf5")
PER_PROCESS = True  # handles shared across a fork return wrong data

peek = few_rows


def open_file(path: Path) -> Any:
    """The file: a mapping of datasets and groups."""
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: cannot be read as HDF5 ({line(error)}); is it complete?") from error


def load(dataset: Any) -> np.ndarray:
    """All of it."""
    return np.asarray(dataset[()])
