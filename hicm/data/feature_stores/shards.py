"""webdataset shards: tar files with members ``<key>.<extension>``; members of one key are one video.

The key is everything before the first dot of the file name.  Folders, and members that are not arrays (json, text,
videos), are ignored.
"""

import contextlib
import glob
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from hicm.data.feature_stores import Peek, formats
from hicm.data.feature_stores.arrays import choose
from hicm.data.tars import Member, members
from hicm.errors import UserError, reason
from hicm.files import MissingFile, is_file, refuse_stand_in

SUFFIX = ".tar"
SHOWN = 10  # shards: with fewer, no progress is shown
MOST = 1_000_000  # shards
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")


class Part(NamedTuple):
    """An array of a video: its shard, and its position there."""

    shard: Path
    member: Member


class Shards:
    """A `Store`.  Headers are read once, at first use; arrays are then read by position, in any order."""

    def __init__(self, files: Sequence[Path], array: str = ""):
        self._files, self._array = files, array

    def __contains__(self, key: str) -> bool:
        return key in self._samples

    def keys(self) -> Iterator[str]:
        return iter(self._samples)

    def read(self, key: str) -> np.ndarray:
        with self._reading(key) as (kind, array):
            return kind.load(array)

    def peek(self, key: str) -> Peek:
        with self._reading(key) as (kind, array):
            return kind.peek(array)

    @cached_property
    def _samples(self) -> dict[str, dict[str, Part]]:
        """By key, then by extension, which distinguishes the arrays of a video: ``npy``, ``clip.npy``."""
        found: dict[str, dict[str, Part]] = {}
        for shard in tqdm(self._files, "index shards", unit="shard", disable=len(self._files) < SHOWN):
            for member in _arrays(shard):
                key, _, extension = PurePosixPath(member.name).name.partition(".")
                parts = found.setdefault(key, {})
                other = parts.setdefault(extension.lower(), Part(shard, member))
                if other.member is not member:
                    raise UserError(f"{shard}: {member.name}: {other.shard} holds {other.member.name} for the same "
                                    "video; keep one of them")
        return found

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[tuple[ModuleType, Any]]:
        extension, name = self._chosen(key)
        shard, member = self._samples[key][extension]
        suffix, where = f".{extension.rpartition('.')[2]}", f"{shard}: {member.name}"
        kind = formats()[suffix]
        try:
            content = kind.open_part(shard, member.start, member.size)
            with content if hasattr(content, "close") else contextlib.nullcontext():
                if name and "." in extension and not isinstance(content, Mapping):
                    raise UserError(f"{where}: no array {name!r}, only {extension}; correct data.feature_array")
                array = choose(content, name, where)
                if hasattr(kind, "check"):
                    kind.check(array, where)
                yield kind, array
        except UserError:
            raise
        except Exception as error:  # a damaged file can raise nearly anything
            raise UserError(f"{where}: cannot be read as a {suffix} array ({reason(error)}); write the shard "
                            "again") from error

    def _chosen(self, key: str) -> tuple[str, str]:
        """The extension of the member to read, and the name of the array in it ('': its only one)."""
        parts = self._samples[key]
        first, _, rest = self._array.partition("/")
        if first in parts:
            return first, rest
        if len(parts) == 1:
            return next(iter(parts)), self._array
        shard, member = next(iter(parts.values()))
        wanted = f"no array {self._array!r}, only" if self._array else "expected one array, found"
        raise UserError(f"{shard}: {PurePosixPath(member.name).name.partition('.')[0]}: {wanted} "
                        f"{', '.join(sorted(parts))}; name the one to use with data.feature_array")


def is_pattern(path: Path) -> bool:
    """Whether ``path`` is a pattern of shards, and not a file."""
    return path.suffix.lower() == SUFFIX and not set(str(path)).isdisjoint("{*?[") and not is_file(path)


def expand(pattern: Path) -> list[Path]:
    """The shards that ``*``, ``?``, ``[...]``, ``{a,b}`` and ``{000..009}`` name.

    Raises MissingFile when one of them is missing or none matches, UserError when there are too many.
    """
    found: list[Path] = []
    for name in _without_braces(str(pattern)):
        matching = sorted(map(Path, glob.glob(name)))
        if not matching:
            raise MissingFile(Path(name), "shard", "correct data.features, or get the file")
        found += matching
    return list(dict.fromkeys(found))


def of_folder(path: Path) -> list[Path]:
    """The shards in a folder; none if it also holds other features."""
    files = [file for file in path.iterdir() if not file.name.startswith(".")]
    if any(file.suffix.lower() in formats() for file in files):
        return []
    return sorted(file for file in files if file.suffix.lower() == SUFFIX)


def _without_braces(pattern: str) -> Iterator[str]:
    """The names that a pattern with braces expands to."""
    parts = [_choices(part) if place % 2 else (part,)  # every other part was in braces
             for place, part in enumerate(BRACES.split(pattern))]
    if math.prod(map(len, parts)) not in range(1, MOST):
        raise UserError(f"{pattern}: expected braces that expand to 1 to {MOST:,} shards, as {{000..009}}; correct "
                        "data.features")
    return map("".join, itertools.product(*parts))


def _choices(inside: str) -> Sequence[str]:
    numbers = RANGE.fullmatch(inside)
    if numbers is None:
        return inside.split(",")
    first, last = numbers.groups()
    if not 0 <= int(last) - int(first) < MOST:
        return ()
    width = max(len(first), len(last)) if first.startswith("0") else 0
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]


def _arrays(shard: Path) -> Iterator[Member]:
    """The members of a shard that are arrays."""
    try:
        for member in members(shard):
            key, _, extension = PurePosixPath(member.name).name.partition(".")
            suffix = f".{extension.rpartition('.')[2].lower()}"
            if not key or not hasattr(formats().get(suffix), "open_part"):
                continue
            if not member.plain:
                raise UserError(f"{shard}: {member.name}: a link or another special member; write it as a file")
            yield member
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        refuse_stand_in(shard, "shard of features")
        raise UserError(f"{shard}: cannot be read as a tar file ({reason(error)}); get the shard again, or write it "
                        "anew") from error
