"""The nearest other row of every row, by cosine: exact, or approximate where exact search would take hours."""

import numpy as np

from hicm.errors import UserError
from hicm.memory.neighbours import approximate, exact, gpu
from hicm.memory.neighbours.rows import Rows

EXACT_UP_TO = 100_000  # rows; above this "auto" is approximate
GPU_FROM = 50_000  # rows; below this, loading torch takes longer than the products


def first_neighbours(rows: Rows, how: str = "auto", seed: int = 0,
                     block: int = exact.BLOCK) -> tuple[np.ndarray, float | None]:
    """The nearest other row of each row, int64 [n], that of lowest index on ties; a single row has itself as nearest.

    Also returns the agreement of approximate neighbours with exact ones (see `approximate.nearest`), None where all
    are exact.  ``how`` is "exact", "approximate" or "auto"; ``seed`` is for approximate, ``block`` for exact search.
    Identical rows (captions written twice) are always found first, and exactly: the nearest of each is its first twin,
    and all other rows see only the first of them.
    Raises UserError for any other ``how``.
    """
    if how not in ("auto", "exact", "approximate"):
        raise UserError(f"clustering: neighbours is {how!r}; expected auto, exact or approximate")
    twin = rows.twins()
    own = np.flatnonzero(twin == np.arange(len(rows)))  # one row of each kind
    found, agreement = np.zeros(len(rows), np.int64), None
    if len(own) > 1:
        if how == "approximate" or (how == "auto" and len(own) > EXACT_UP_TO):
            found[own], agreement = approximate.nearest(rows, own, seed)
        elif len(own) >= GPU_FROM and gpu.available():
            found[own] = gpu.nearest(rows, own)
        else:
            found[own] = exact.nearest(rows, own, block)
    copies = np.flatnonzero(twin != np.arange(len(rows)))
    found[copies] = twin[copies]
    originals, first_copy = np.unique(twin[copies], return_index=True)
    found[originals] = copies[first_copy]
    return found, agreement
