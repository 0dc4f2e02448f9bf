"""HDF5: datasets, or groups of datasets, in the file itself (`hicm.hdf5`)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hicm import hdf5
from hicm.data.feature_stores.arrays import few
from hicm.errors import UserError, reason

SUFFIXES = (".h5", ".hdf5")
PER_PROCESS = True  # handles shared across a fork return wrong data


class Members(Mapping[str, Any]):
    """The datasets and groups of a file or group."""

    def __init__(self, group: Any) -> None:
        self._group = group

    def __getitem__(self, name: str) -> Any:
        item = hdf5.find(self._group, name)
        if item is None:
            raise KeyError(name)
        return Members(item) if hasattr(item, "keys") else item

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hdf5.find(self._group, name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)

    def __enter__(self) -> "Members":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._group.file.close()


def open_file(path: Path) -> Members:
    """What the file holds by name."""
    import h5py

    try:
        return Members(h5py.File(path, "r"))
    except Exception as error:  # damage can raise nearly anything
        raise UserError(f"{path}: cannot be read as HDF5 ({reason(error)}); is it complete?") from error


def load(dataset: Any) -> np.ndarray:
    """All of it."""
    return hdf5.read(dataset)


def peek(dataset: Any) -> tuple[tuple[int, ...], str, bytes]:
    """A few rows."""
    rows = hdf5.read_rows(dataset, few(dataset.shape[0] if dataset.shape else 0))
    return tuple(dataset.shape), str(dataset.dtype), b"".join(np.ascontiguousarray(row).tobytes() for row in rows)
