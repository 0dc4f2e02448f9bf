"""HDF5 files of unknown origin: what is read is checked first, because the library believes what a file says.

Only arrays of numbers, truth values and fixed-length text are read, and only from the file itself.  Text of variable
length can keep the library in an endless loop, and links, virtual and external datasets lead to other files.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FILTERS = {1, 2, 3, 4, 32000}  # gzip, shuffle, fletcher32, szip, lzf: the library's and h5py's own
SMALL, RATIO = 1 << 26, 200  # an array may take this many bytes, and as many times those that are stored, besides
PATIENCE = 60  # seconds


def find(group: Any, name: str) -> Any:
    """The dataset or group ``name``, or None; "a/b" is b in a.  Raises ValueError when a link to elsewhere is there."""
    import h5py

    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or not _may_be_there(part) or part not in group:
            return None
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError("a link to another place or file; copy the data to here")
        group = group[part]
    return group


def _may_be_there(name: str) -> bool:
    try:
        return name not in ("", ".", "..") and b"\0" not in name.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False


def read(item: Any, kinds: str = "fiu", row: int | None = None, whole: bool = True) -> np.ndarray:
    """The content of a dataset, or a row of it.

    ``kinds``: what its numbers may be, as NumPy's ``dtype.kind``; ``whole``: every part of it must have been written,
    else HDF5 returns zeros.  Raises ValueError that says what is wrong, and whatever h5py raises on damage.
    """
    check(item, kinds, whole)
    _check_size(item, item.shape if row is None else item.shape[1:])
    return np.asarray(item[() if row is None else row])


def read_rows(item: Any, rows: Sequence[int]) -> list[np.ndarray]:
    """Some rows of a dataset of numbers, which is checked once.  Raises as `read`."""
    check(item, whole=True)
    _check_size(item, item.shape[1:])
    return [np.asarray(item[row]) for row in rows]


def _check_size(item: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError when a part of ``shape`` would be far larger than all that is stored."""
    stored = min(item.id.get_storage_size(), os.path.getsize(item.file.filename))
    if math.prod(shape) * item.dtype.itemsize > SMALL + RATIO * stored:
        raise ValueError(f"shape {list(item.shape)}, but only {stored} bytes are stored")


def check(item: Any, kinds: str = "fiu", whole: bool = False) -> None:
    """Raise ValueError unless ``item`` is a dataset that can be read: see `read`."""
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise ValueError("no dataset")
    if item.shape is None or item.dtype.kind not in kinds:
        raise ValueError(f"holds {'nothing' if item.shape is None else item.dtype}; expected numbers")
    if not item.id.get_type().equal(h5py.h5t.py_create(item.dtype, logical=True)):
        raise ValueError("holds numbers of a type that is not read")
    if item.is_virtual or item.external:
        raise ValueError("its data lie in another file; copy them to here")
    plan, size = item.id.get_create_plist(), os.path.getsize(item.file.filename)
    unknown = {plan.get_filter(number)[0] for number in range(plan.get_nfilters())} - FILTERS
    if unknown:
        raise ValueError(f"compressed by filter {min(unknown)}; write it again, uncompressed or with gzip")
    stored = min(item.id.get_storage_size(), size)
    if item.chunks is None:
        complete = stored >= item.size * item.dtype.itemsize
    else:
        if math.prod(item.chunks) * item.dtype.itemsize > SMALL + RATIO * stored:
            raise ValueError(f"in parts of {list(item.chunks)}, but only {stored} bytes are stored")
        parts = math.prod(-(-length // part) for length, part in zip(item.shape, item.chunks, strict=True))
        complete = parts <= size and item.id.get_num_chunks() >= parts
    if whole and not complete:
        raise ValueError(f"shape {list(item.shape)}, but parts of it are not stored")


def attribute(group: Any, name: str) -> int:
    """A whole number among the attributes.  Raises ValueError when it is missing or anything else."""
    if name not in group.attrs or group.attrs.get_id(name).shape != () \
            or group.attrs.get_id(name).dtype.kind not in "iu":
        raise ValueError(f"no whole number {name}")
    return int(group.attrs[name])


def texts(item: Any) -> list[str]:
    """Texts of fixed length, in UTF-8."""
    return [text.decode() for text in np.atleast_1d(read(item, "S")).tolist()]


TEXTS = """
import h5py, json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
file = h5py.File(sys.argv[1], "r")
print(json.dumps([file[sys.argv[2]].asstr()[()].tolist(), file.attrs[sys.argv[3]]]))
"""


def variable_texts(path: Path, dataset: str, name: str) -> tuple[list[str], str]:
    """Texts of variable length in a dataset [N], and that of an attribute.

    A process of its own reads them, because HDF5 may search for ever in a damaged file.  Raises ValueError when it
    fails or takes longer than PATIENCE.
    """
    try:
        ended = subprocess.run([sys.executable, "-c", TEXTS, str(path), dataset, name], capture_output=True,
                               timeout=PATIENCE)
        found, about = json.loads(ended.stdout)
    except (subprocess.TimeoutExpired, ValueError, TypeError) as error:
        raise ValueError(f"its {dataset} or {name} cannot be read") from error
    if not isinstance(found, list) or not all(isinstance(text, str) for text in [*found, about]):
        raise ValueError(f"its {dataset} or {name} are no text")
    return found, about
