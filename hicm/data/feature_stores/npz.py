"""NumPy's ``.npz``: an archive of arrays by name; ``a/b`` is the array b of group a."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hicm.arrays import member_shape, open_npz, read_member
from hicm.data.feature_stores.arrays import few_rows
from hicm.errors import UserError, reason
from hicm.files import read_part

SUFFIXES = (".npz",)
PER_PROCESS = True  # the file's position is shared


class Member:
    """An array of an archive that is not read yet."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive, self._name = archive, name

    def read(self) -> np.ndarray:
        """The array.  Objects are refused: they would be pickles."""
        return read_member(self._archive, self._name)

    @property
    def shape(self) -> tuple[int, ...]:
        return member_shape(self._archive, self._name)


class Members(Mapping[str, "Member | Members"]):
    """The arrays of an archive, or of a group of it."""

    def __init__(self, archive: zipfile.ZipFile, names: Mapping[str, str]) -> None:
        """``names``: those in this group -> those in the archive."""
        self._archive = archive
        self._items: dict[str, str | dict[str, str]] = {}
        for name, full in names.items():
            first, separator, rest = name.partition("/")
            inner = self._items.setdefault(first, {}) if separator and first else None
            if isinstance(inner, dict):
                inner[rest] = full
            else:
                self._items[name] = full

    def __getitem__(self, name: str) -> "Member | Members":
        item = self._items[name]
        return Member(self._archive, item) if isinstance(item, str) else Members(self._archive, item)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __enter__(self) -> "Members":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def open_file(path: Path) -> Members:
    """The arrays by name."""
    try:
        archive = open_npz(path)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: cannot be read as an .npz file ({reason(error)}); is it complete?") from error
    return _members(archive)


def open_part(path: Path, start: int, size: int) -> Members:
    """The arrays by name in these bytes of a file."""
    return _members(open_npz(read_part(path, start, size)))


def _members(archive: zipfile.ZipFile) -> Members:
    return Members(archive, {name.removesuffix(".npy"): name for name in archive.namelist()})


def load(array: Member) -> np.ndarray:
    """All of it."""
    return array.read()


def peek(array: Member) -> tuple[tuple[int, ...], str, bytes]:
    """A few rows; all of them are decompressed for it."""
    return few_rows(array.read())
