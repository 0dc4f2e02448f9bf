"""A folder with the features of each video in a file of its own."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hicm.data.feature_stores import Peek, formats
from hicm.data.feature_stores.arrays import choose
from hicm.data.ids import VIDEO_ENDINGS
from hicm.errors import UserError, reason
from hicm.files import is_file, refuse_stand_in


class Folder:
    """``<id>.npy``, ``<id>.mp4.npy`` and so on, or the file that ``listed`` names, relative to the folder."""

    def __init__(self, path: Path, listed: Mapping[str, str] | None = None, array: str = ""):
        self._path, self._listed, self._array = path, listed or {}, array

    def __contains__(self, key: str) -> bool:
        return self._file(key) is not None

    def keys(self) -> Iterator[str]:
        yield from (key for key in self._listed if key in self)
        if not self._listed:
            yield from self._files

    def read(self, key: str) -> np.ndarray:
        with self._reading(key) as (kind, array):
            return kind.load(array)

    def peek(self, key: str) -> Peek:
        with self._reading(key) as (kind, array):
            return kind.peek(array)

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[tuple[ModuleType, Any]]:
        file = self._file(key)
        if file is None:
            raise UserError(f"{self._path}: no file for video {key}")
        kind = formats().get(file.suffix.lower())
        if kind is None:
            raise UserError(f"{file}: unknown kind of features; expected {', '.join(formats())}")
        try:
            content = kind.open_file(file)
            with content if hasattr(content, "close") else contextlib.nullcontext():
                array = choose(content, self._array, str(file))
                if hasattr(kind, "check"):
                    kind.check(array, str(file))
                yield kind, array
        except UserError:
            refuse_stand_in(file, "features")
            raise
        except Exception as error:  # a damaged file can raise nearly anything
            refuse_stand_in(file, "features")
            raise UserError(f"{file}: cannot be read as a {file.suffix} array ({reason(error)}); extract it "
                            "again") from error

    def _file(self, key: str) -> Path | None:
        if key in self._listed and is_file(self._path / self._listed[key]):
            return self._path / self._listed[key]
        return self._path / self._files[key] if key in self._files else None

    @cached_property
    def _files(self) -> dict[str, str]:
        """The name of each video's file; of several, the one whose ending comes first, ``.npy`` before all."""
        order = {suffix: (suffix != ".npy", rank) for rank, suffix in enumerate(formats())}
        found: dict[str, tuple[tuple[bool, int, bool], str]] = {}
        for entry in os.scandir(self._path):
            stem, suffix = os.path.splitext(entry.name)
            if suffix.lower() in order:
                video = next((ending for ending in VIDEO_ENDINGS if stem.endswith(ending)), "")
                rank = (*order[suffix.lower()], not video), entry.name
                key = stem.removesuffix(video)
                found[key] = min(found.get(key, rank), rank)
        return {key: name for key, (_, name) in sorted(found.items(), key=lambda item: (item[1][0][0], item[1][1]))}
