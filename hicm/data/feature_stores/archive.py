"""One file with the features of all videos: arrays by id, or groups of arrays by id."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.feature_stores import Peek, formats
from hicm.data.feature_stores.arrays import choose
from hicm.errors import UserError, reason


class Archive:
    """Opened at first use and never passed to another process: shared HDF5 handles, for one, return wrong data."""

    def __init__(self, path: Path, array: str = ""):
        self._path, self._array = path, array
        self._format = formats()[path.suffix.lower()]
        self._open: tuple[int, Any] | None = None  # process id, content

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path, "array": self._array}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __contains__(self, key: str) -> bool:
        with self._guarded(key):
            return bool(key) and key in self._content()

    def keys(self) -> Iterator[str]:
        with self._guarded("the list of videos"):
            return iter(list(self._content()))

    def read(self, key: str) -> np.ndarray:
        with self._guarded(key):
            return self._format.load(self._chosen(key))

    def peek(self, key: str) -> Peek:
        with self._guarded(key):
            return self._format.peek(self._chosen(key))

    def _chosen(self, key: str) -> Any:
        where = f"{self._path}: {key}"
        array = choose(self._content()[key], self._array, where)
        if hasattr(self._format, "check"):
            self._format.check(array, where)
        return array

    @contextlib.contextmanager
    def _guarded(self, key: str) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # damage can raise nearly anything
            raise UserError(f"{self._path}: {key}: damaged or no features ({reason(error)}); get the file again, or "
                            "write it anew") from error

    def _content(self) -> Mapping[str, Any]:
        if self._open is None or (self._format.PER_PROCESS and self._open[0] != os.getpid()):
            if self._open is not None:  # else HDF5 would return the parent's file again, with its shared position
                self._open[1].close()
            content = self._format.open_file(self._path)
            if not isinstance(content, Mapping):
                raise UserError(f"{self._path}: expected arrays by video id, found {type(content).__name__}; the "
                                "features of one video belong in a folder, as <video id>" + self._path.suffix)
            self._open = os.getpid(), content
        return self._open[1]
