"""Which array of a file is meant; and a few rows of it."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hicm.data.feature_stores import Peek
from hicm.errors import UserError


def choose(content: Any, name: str, where: str) -> Any:
    """The array of one video: ``content`` itself, or of a group the one called ``name``, or its only matrix.

    Raises UserError when a group has no such array, when several may be meant, or for what is no array at all.
    """
    chosen = _chosen(content, name, where) if isinstance(content, Mapping) else content
    if not hasattr(chosen, "shape"):
        raise UserError(f"{where}: expected an array, found {type(chosen).__name__}")
    return chosen


def few_rows(array: Any) -> Peek:
    """Shape, dtype and bytes of a few rows of an array that lies on disk."""
    rows = [np.ascontiguousarray(array[row]).tobytes() for row in few(array.shape[0] if array.shape else 0)]
    return tuple(array.shape), str(array.dtype), b"".join(rows)


def few(rows: int) -> list[int]:
    """At most four rows: the first, the last, and two between."""
    return sorted({0, rows // 3, 2 * rows // 3, rows - 1}) if rows else []


def _chosen(content: Mapping[str, Any], name: str, where: str) -> Any:
    found = dict(_arrays(content))
    if name:
        if name not in found:
            raise UserError(f"{where}: no array {name!r}, only {_listed(found)}; correct data.feature_array")
        return found[name]
    matrices = [array for array in found.values() if len(_shape(array)) > 1] or list(found.values())
    if len(matrices) != 1:
        raise UserError(f"{where}: expected one array, found {_listed(found)}"
                        + ("; name the one to use with data.feature_array" if matrices else ""))
    return matrices[0]


def _arrays(group: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All arrays of a group by name, ``a/b`` for those in groups of it."""
    for name, item in group.items():
        if isinstance(item, Mapping):
            yield from _arrays(item, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", item


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(getattr(array, "shape", None) or ())


def _listed(found: Mapping[str, Any]) -> str:
    names = [f"{name} {list(_shape(array))}" for name, array in found.items()]
    return (", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")) or "none"
