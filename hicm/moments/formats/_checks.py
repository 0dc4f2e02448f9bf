"""Checks that readers share: ids, windows, scores."""

from collections.abc import Mapping, Sequence
from itertools import chain
from numbers import Integral
from typing import Any

import numpy as np

from hicm.errors import UserError, brief
from hicm.source import Source
from hicm.values import LARGEST, PLAIN, check_span, duration_of, is_number, kind_of


def query_id(value: Any, where: str) -> str:
    """The id of a query as text: files write the same id as number and as text.  Raises UserError if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | Integral) or not str(value).strip():
        raise UserError(f"{where}: query id {brief(value)}, expected a whole number or text")
    return str(value).strip()


def new_id(value: Any, known: Mapping[str, Any], where: str) -> str:
    """`query_id`, which must not be in ``known`` yet."""
    name = query_id(value, where)
    if name in known:
        raise UserError(f"{where}: query {name} occurs twice; keep one of them")
    return name


def numbers(values: Any, columns: int, where: str, what: str) -> np.ndarray:
    """Rows of ``columns`` finite numbers as float64 (n, columns).

    ``what`` is what a row should be, for errors: "[start, end] in seconds".  Raises UserError naming the first row that
    is none.
    """
    rows = list_of(values, where, f"a list of {what}")
    if set(map(type, rows)) <= {list} and set(map(len, rows)) <= {columns} and PLAIN.issuperset(
            map(type, chain.from_iterable(rows))):  # loops in C: files have many thousands of rows
        made = _finite(rows)
        if made is not None:
            return made.reshape(-1, columns)
    return np.array([_row(row, columns, f"{where}, item {at}", what) for at, row in enumerate(rows)],
                    dtype=np.float64).reshape(-1, columns)


def _finite(values: Sequence[Any]) -> np.ndarray | None:
    """Plain numbers as an array; None if one is not finite, or too large for a float."""
    try:
        made = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    return made if (np.abs(made) < LARGEST).all() else None


def _row(row: Any, columns: int, where: str, what: str) -> list[float]:
    if not isinstance(row, list | tuple | np.ndarray) or len(row) != columns:
        raise UserError(f"{where}: {brief(row)}, expected {what}")
    found = [duration_of(number) for number in row]
    if None in found:
        bad = row[found.index(None)]
        raise UserError(f"{where}: {brief(row)}, expected {what}; {brief(bad)} is "
                        f"{'not finite' if is_number(bad) else kind_of(bad)}")
    return [number for number in found if number is not None]


def list_of(values: Any, where: str, what: str) -> Sequence[Any]:
    """A list or array.  Raises UserError for anything else."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Sequence | np.ndarray):
        raise UserError(f"{where}: {kind_of(values)}, expected {what}")
    return values.tolist() if isinstance(values, np.ndarray) else values


def column(values: Any, where: str) -> np.ndarray:
    """Finite numbers as float64 (n,).  Raises UserError naming the first that is none."""
    found = list_of(values, where, "a list of numbers")
    if PLAIN.issuperset(map(type, found)):
        made = _finite(found)
        if made is not None:
            return made
    return numbers([[value] for value in found], 1, where, "a finite number")[:, 0]


def window(value: Any, where: str) -> tuple[float, float]:
    """Start and end in seconds.  Raises UserError for anything but two finite numbers."""
    return check_span(value.tolist() if isinstance(value, np.ndarray) else value, where)


def positive(value: Any, where: str, what: str) -> float:
    """A number above 0.  Raises UserError for anything else; ``what`` names it."""
    found = duration_of(value)
    if found is None or found <= 0:
        kind = f"; {brief(value)} is text" if isinstance(value, str) else ""
        raise UserError(f"{where}: {what} {brief(value)}, expected a number above 0{kind}")
    return found


def text(value: Any) -> str:
    """Text, or "" for anything else: sentences are shown, not scored."""
    return value if isinstance(value, str) else ""


def rows_of(source: Source) -> Sequence[Mapping[str, Any]]:
    """The objects of json lines or a json list.  Raises UserError naming the first line that is none."""
    if source.torn:
        raise UserError(f"{source.where}: line {source.torn[0]}: not a json object; is the file complete?")
    return source.rows


def by_video(source: Source, keys: Sequence[str]) -> bool:
    """Whether content is a mapping whose first value is a mapping with these keys."""
    if not isinstance(source.data, Mapping):
        return False
    first = next(iter(source.data.values()), None)
    return isinstance(first, Mapping) and all(key in first for key in keys)
