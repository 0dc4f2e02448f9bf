"""The three kinds of feature store behind `hicm.data.features`: exact keys in, stored arrays out.

Each has ``key in store``, ``first() -> key or None`` and ``read(key) -> array``.  Handles are opened at first use and
never passed to another process: HDF5 handles shared across a fork return wrong data.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hicm import hdf5
from hicm.arrays import map_npy, read_npy
from hicm.data.torch_files import read_torch, refuse_odd
from hicm.errors import UserError, reason
from hicm.files import is_file, require

TORCH_SUFFIXES = (".pth", ".pt")
HDF5_SUFFIXES = (".h5", ".hdf5")
ARRAY_SUFFIXES = (".mp4.npy", ".npy")  # in the order they are looked for


class Store(Protocol):
    def __contains__(self, key: str) -> bool: ...

    def first(self) -> str | None:
        """A key that is the same in every process, or None when the store is empty."""

    def read(self, key: str) -> np.ndarray:
        """The stored array.  Raises UserError when it is damaged."""

    def peek(self, key: str) -> tuple[tuple[int, ...], str, bytes]:
        """Shape, dtype and a few rows of the stored array, without reading all of it."""


def open_store(path: Path, listed: Mapping[str, str] | None = None) -> Store:
    """The store at ``path``; ``listed``: id -> file, for a folder whose files are not named ``<id>.npy``.

    Raises UserError when it is missing or of an unknown kind.
    """
    if path == Path():
        raise UserError("data.features is empty: give the path of the features; data/README.md says where to get them")
    require(path, "features", "set data.features; data/README.md says where to get them")
    if path.is_dir():
        return FolderStore(path, listed)
    if path.suffix in TORCH_SUFFIXES:
        return TorchStore(path)
    if path.suffix in HDF5_SUFFIXES:
        return Hdf5Store(path)
    known = ", ".join(TORCH_SUFFIXES + HDF5_SUFFIXES)
    raise UserError(f"{path}: unknown kind of features; expected {known} or a folder of .npy files")


class FolderStore:
    """One file per video: ``<id>.mp4.npy``, ``<id>.npy``, or the file that ``listed`` names, relative to the folder."""

    def __init__(self, path: Path, listed: Mapping[str, str] | None = None):
        self._path, self._listed = path, listed or {}

    def __contains__(self, key: str) -> bool:
        return self._file(key) is not None

    def first(self) -> str | None:
        if self._listed:
            return next((key for key in self._listed if key in self), None)
        name = min((entry.name for entry in os.scandir(self._path) if entry.name.endswith(".npy")), default=None)
        return name and name.removesuffix(".npy").removesuffix(".mp4")

    def read(self, key: str) -> np.ndarray:
        with self._reading(key) as file:
            return read_npy(file)

    def peek(self, key: str) -> tuple[tuple[int, ...], str, bytes]:
        with self._reading(key) as file:
            return _some_rows(map_npy(file))

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[Path]:
        file = self._file(key) or self._path / f"{key}.npy"
        try:
            yield file
        except Exception as error:  # a damaged file can raise nearly anything
            raise UserError(f"{file}: cannot be read as a .npy array ({reason(error)}); extract it again") from error

    def _file(self, key: str) -> Path | None:
        files = [self._path / f"{key}{suffix}" for suffix in ARRAY_SUFFIXES]
        if key in self._listed:
            files.insert(0, self._path / self._listed[key])
        return next((file for file in files if is_file(file)), None)


class TorchStore:
    """A dict id -> tensor saved by torch; memory-mapped where its format allows."""

    def __init__(self, path: Path):
        self._path = path
        self._tensors: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_tensors": None}

    def __contains__(self, key: str) -> bool:
        return key in self._content()

    def first(self) -> str | None:
        return next(iter(self._content()), None)

    def read(self, key: str) -> np.ndarray:
        tensor = self._tensor(key)
        return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()

    def peek(self, key: str) -> tuple[tuple[int, ...], str, bytes]:
        tensor = self._tensor(key)
        if not tensor.ndim:
            return (), str(tensor.dtype), b""
        rows = tensor[list(_few(len(tensor)))]
        raw = (rows.float() if rows.is_floating_point() else rows).cpu().numpy()
        return tuple(tensor.shape), str(tensor.dtype), np.ascontiguousarray(raw).tobytes()

    def _tensor(self, key: str) -> Any:
        tensor = self._content()[key]
        try:
            refuse_odd(tensor, key)
        except ValueError as error:
            raise UserError(f"{self._path}: {error}") from error
        return tensor.detach()

    def _content(self) -> dict[str, Any]:
        if self._tensors is None:
            try:
                content = read_torch(self._path)
            except Exception as error:  # a damaged file can raise nearly anything
                raise UserError(f"{self._path}: features refused, expected a dict of tensors saved by torch "
                                f"({reason(error)}); is the file complete?") from error
            if not isinstance(content, dict):
                raise UserError(f"{self._path}: expected a dict video id -> tensor, found {type(content).__name__}")
            odd = [type(key).__name__ for key in content if not isinstance(key, str)]
            if odd:
                raise UserError(f"{self._path}: expected a dict video id -> tensor, found a key of type {odd[0]}")
            self._tensors = content
        return self._tensors


class Hdf5Store:
    """One dataset per video at the root of the file."""

    def __init__(self, path: Path):
        self._path = path
        self._handle: tuple[int, Any] | None = None  # process id, file

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_handle": None}

    def __contains__(self, key: str) -> bool:
        with self._reading(key):
            return hdf5.find(self._file(), key) is not None

    def first(self) -> str | None:
        with self._reading("the list of videos"):
            return next(iter(self._file()), None)

    def read(self, key: str) -> np.ndarray:
        with self._reading(key):
            item = hdf5.find(self._file(), key)
            if not hasattr(item, "shape"):
                raise UserError(f"{self._path}: {key}: expected a dataset [seconds, width], found a group")
            return hdf5.read(item)

    def peek(self, key: str) -> tuple[tuple[int, ...], str, bytes]:
        with self._reading(key):
            item = hdf5.find(self._file(), key)
            if not hasattr(item, "shape"):
                return (), "group", b""
            rows = _few(item.shape[0] if item.shape else 0)
            content = b"".join(np.ascontiguousarray(hdf5.read(item, row=row)).tobytes() for row in rows)
            return tuple(item.shape), str(item.dtype), content

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # damage can raise nearly anything
            raise UserError(f"{self._path}: {key}: damaged or no features ({reason(error)}); get the file again, "
                            "or write it anew") from error

    def _file(self) -> Any:
        if self._handle is None or self._handle[0] != os.getpid():
            import h5py

            if self._handle is not None:  # else HDF5 would return the parent's file again, with its shared position
                self._handle[1].close()
            try:
                self._handle = os.getpid(), h5py.File(self._path, "r")
            except Exception as error:  # damage can raise nearly anything
                raise UserError(f"{self._path}: cannot be read as HDF5 ({reason(error)}); is it complete?") from error
        return self._handle[1]


def _few(rows: int) -> list[int]:
    """At most four rows: the first, the last, and two between."""
    return sorted({0, rows // 3, 2 * rows // 3, rows - 1}) if rows else []


def _some_rows(array: Any) -> tuple[tuple[int, ...], str, bytes]:
    """Shape, dtype and bytes of a few rows of an array that lies on disk."""
    rows = [np.ascontiguousarray(array[row]).tobytes() for row in _few(array.shape[0] if array.shape else 0)]
    return tuple(array.shape), str(array.dtype), b"".join(rows)
