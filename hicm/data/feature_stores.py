"""The three kinds of feature store behind `hicm.data.features`: exact keys in, stored arrays out.

Each has ``key in store``, ``first() -> key or None`` and ``read(key) -> array``.  Handles are opened at first use and
never passed to another process: HDF5 handles shared across a fork return wrong data.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hicm.errors import UserError
from hicm.files import require

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
        file = self._file(key) or self._path / f"{key}.npy"
        try:
            with open(file, "rb") as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
        except Exception as error:  # a damaged file can raise nearly anything
            raise UserError(f"{file}: cannot be read as a .npy array ({_line(error)}); extract it again") from error

    def peek(self, key: str) -> tuple[tuple[int, ...], str, bytes]:
        file = self._file(key) or self._path / f"{key}.npy"
        try:
            return _some_rows(np.load(file, mmap_mode="r", allow_pickle=False))
        except Exception as error:  # a damaged file can raise nearly anything
            raise UserError(f"{file}: cannot be read as a .npy array ({_line(error)}); extract it again") from error

    def _file(self, key: str) -> Path | None:
        files = [self._path / f"{key}{suffix}" for suffix in ARRAY_SUFFIXES]
        if key in self._listed:
            files.insert(0, self._path / self._listed[key])
        return next((file for file in files if file.is_file()), None)


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
        tensor = self._content()[key]
        if not hasattr(tensor, "detach"):
            raise UserError(f"{self._path}: {key}: expected a tensor, found {type(tensor).__name__}")
        tensor = tensor.detach()
        return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()

    def peek(self, key: str) -> tuple[tuple[int, ...], str, bytes]:
        tensor = self._content()[key]
        if not hasattr(tensor, "detach") or not tensor.ndim:
            return (), type(tensor).__name__, b""
        rows = tensor.detach()[list(_few(len(tensor)))]
        raw = (rows.float() if rows.is_floating_point() else rows).cpu().numpy()
        return tuple(tensor.shape), str(tensor.dtype), np.ascontiguousarray(raw).tobytes()

    def _content(self) -> dict[str, Any]:
        if self._tensors is None:
            content = _load_torch(self._path)
            if not isinstance(content, dict):
                raise UserError(f"{self._path}: expected a dict video id -> tensor, found {type(content).__name__}")
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
        return bool(key) and key in self._file()

    def first(self) -> str | None:
        return next(iter(self._file()), None)

    def read(self, key: str) -> np.ndarray:
        import h5py

        item = self._file()[key]
        if not isinstance(item, h5py.Dataset):
            raise UserError(f"{self._path}: {key}: expected a dataset [seconds, width], found a group")
        try:
            return np.asarray(item[()])
        except (OSError, RuntimeError) as error:
            raise UserError(f"{self._path}: {key}: damaged ({_line(error)}); get the file again") from error

    def peek(self, key: str) -> tuple[tuple[int, ...], str, bytes]:
        item = self._file()[key]
        if not hasattr(item, "shape"):
            return (), "group", b""
        try:
            return _some_rows(item)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{self._path}: {key}: damaged ({_line(error)}); get the file again") from error

    def _file(self) -> Any:
        if self._handle is None or self._handle[0] != os.getpid():
            import h5py

            if self._handle is not None:  # else HDF5 would return the parent's file again, with its shared position
                self._handle[1].close()
            try:
                self._handle = os.getpid(), h5py.File(self._path, "r")
            except OSError as error:
                raise UserError(f"{self._path}: cannot be read as HDF5 ({_line(error)}); is it "
                                "complete?") from error
        return self._handle[1]


def _few(rows: int) -> list[int]:
    """At most four rows: the first, the last, and two between."""
    return sorted({0, rows // 3, 2 * rows // 3, rows - 1}) if rows else []


def _some_rows(array: Any) -> tuple[tuple[int, ...], str, bytes]:
    """Shape, dtype and bytes of a few rows of an array that lies on disk."""
    rows = [np.ascontiguousarray(array[row]).tobytes() for row in _few(array.shape[0] if array.shape else 0)]
    return tuple(array.shape), str(array.dtype), b"".join(rows)


def _load_torch(path: Path) -> Any:
    import torch

    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format used before torch 1.6 cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: features refused, expected a dict of tensors saved by torch "
                        f"({_line(error)}); is the file complete?") from error


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
