"""A cache of prepared training items: what is the same in every epoch is kept in memory as far as it fits.

Worker processes (``train.workers``) keep nothing: they make the next batches meanwhile, and end with the epoch.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

LIMIT = 2**28  # bytes per process


class Kept(Generic[T]):
    """``make(row)``, which is called once for each row whose result fits beside those before, else every time.

    ``size``: the bytes of a result; ``limit``: those that are kept at most.  One process asks for
    every row once an epoch, so nothing is gained by making room for later ones.
    """

    def __init__(self, make: Callable[[int], T], size: Callable[[T], int], limit: int = LIMIT) -> None:
        self._make, self._size, self._left = make, size, limit
        self._found: dict[int, T] = {}

    def __getitem__(self, row: int) -> T:
        found = self._found.get(row)
        if found is None:
            found = self._make(row)
            size = self._size(found)
            if size <= self._left:
                self._found[row] = found
                self._left -= size
        return found
