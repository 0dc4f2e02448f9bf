"""Where features lie, behind `hicm.data.features`: exact keys in, stored arrays out.

A store is one file with all videos (`hicm.data.feature_stores.archive`), a folder with a file per video
(`hicm.data.feature_stores.folder`), or tar files (`hicm.data.feature_stores.shards`).  Each kind of
file with arrays is a module of this package, found by its ``SUFFIXES``:

    SUFFIXES              endings of its files
    PER_PROCESS           whether an open file may not be shared with a process that was forked
    open_file(path)       its content: an array, or a mapping from names to arrays and further such mappings (groups)
    load(array)           one of those arrays, as a NumPy array that is the caller's
    peek(array)           its shape, dtype and a few rows, without reading all of it
    open_part(path, start, size)   optional: the same for these bytes of a file, as in a tar file; may raise anything
    check(array, where)   optional: raises UserError, starting with ``where``, for an array that is not what it says

``open_file`` raises UserError for a file that it cannot read; the others may raise anything for a damaged array.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from hicm.errors import UserError
from hicm.files import require

Peek = tuple[tuple[int, ...], str, bytes]  # shape, dtype, a few rows


class Store(Protocol):
    def __contains__(self, key: str) -> bool: ...

    def keys(self) -> Iterator[str]:
        """All keys, in an order that is the same in every process."""

    def read(self, key: str) -> np.ndarray:
        """The stored array.  Raises UserError when it is damaged, or one of several."""

    def peek(self, key: str) -> Peek:
        """Shape, dtype and a few rows of the stored array, without reading all of it."""


def open_store(path: Path, listed: Mapping[str, str] | None = None, array: str = "") -> Store:
    """The store at ``path``.

    ``listed``: id -> file, for a folder whose files are not named after their video.  ``array``: which array of a
    video, where it has several.  Raises UserError when nothing is there, or something of an unknown kind.
    """
    from hicm.data.feature_stores.archive import Archive
    from hicm.data.feature_stores.folder import Folder
    from hicm.data.feature_stores.shards import SUFFIX, Shards, expand, is_pattern, of_folder

    if path == Path():
        raise UserError("data.features is empty: give the path of the features; data/README.md says where to get them")
    if is_pattern(path):
        return Shards(expand(path), array)
    require(path, "features", "set data.features; data/README.md says where to get them")
    if path.is_dir():
        shards = [] if listed else of_folder(path)
        return Shards(shards, array) if shards else Folder(path, listed, array)
    if path.suffix.lower() == SUFFIX:
        return Shards([path], array)
    if path.suffix.lower() in formats() and path.suffix.lower() != ".npy":
        return Archive(path, array)
    raise UserError(f"{path}: unknown kind of features; expected a folder with a file per video, tar files, or one "
                    f"file with all of them ({', '.join(suffix for suffix in formats() if suffix != '.npy')})")


@cache
def formats() -> dict[str, ModuleType]:
    """The modules that read files, by ending."""
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {suffix: module for module in modules for suffix in getattr(module, "SUFFIXES", ())}
