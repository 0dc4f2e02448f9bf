"""Rows that are compared by cosine: a cheap float32 product first, the exact cosine of a pair where it matters."""

import hashlib
from collections.abc import Iterator

import numpy as np

CHUNK = 1024  # rows converted at once: few enough for the cache


class Rows:
    """Rows [n, D], float32 or float64, read in place: no copy of all of them is made.

    The cosine of two rows is what `cosines` returns: float64, pair by pair, so that it depends on these two rows only.
    A float32 product of two `unit` rows differs from it by at most ``margin / 2``.  With relative rounding
    u = 2**-24: D u for a sum of D products in any order (Higham, "Accuracy and Stability of Numerical Algorithms",
    2nd ed., eq. 3.5) and 4 u for the two rows; 6 u are left for second-order terms, for the float64 sums and for the
    rounding of ``highest - margin``.  So a row whose product is more than ``margin`` below the highest is not the
    nearest.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.margin = np.float32(2 * (values.shape[1] + 10) * 2.0**-24)
        self.squares = np.empty(len(values))  # squared length; not finite where a number in the row is not
        for part in parts(len(values)):
            chunk = values[part].astype(np.float64)
            self.squares[part] = _dots(chunk, chunk)
        np.maximum(self.squares, 1e-24, out=self.squares)  # a row of zeros has cosine 0 to all
        self._inverse: np.ndarray | None = None  # 1 / length, where float32 can represent it
        if values.dtype == np.float32 and (self.squares < 1e60).all():
            self._inverse = (1 / np.sqrt(self.squares)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def unit(self, index: np.ndarray) -> np.ndarray:
        """Rows scaled to length 1, float32 [..., D] for an index [...]."""
        if self._inverse is not None:
            return self.values[index] * self._inverse[index][..., None]
        return (self.values[index] / np.sqrt(self.squares[index])[..., None]).astype(np.float32)

    def cosines(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Cosine of each pair (i, j), float64 [pairs] in [-1, 1]; exactly 1 for identical rows."""
        dots = np.empty(len(i))
        for part in parts(len(i)):
            dots[part] = _dots(self.values[i[part]].astype(np.float64), self.values[j[part]].astype(np.float64))
        return np.clip(dots / np.sqrt(self.squares[i] * self.squares[j]), -1, 1)

    def twins(self) -> np.ndarray:
        """For each row, the first row that is identical to it, int64 [n]."""
        _, kind, counts = np.unique(self.squares, return_inverse=True, return_counts=True)
        first: dict[bytes, int] = {}
        found = np.arange(len(self))
        for row in np.flatnonzero(counts[kind] > 1).tolist():  # rows of different lengths are not identical
            value = self.values[row] + self.values.dtype.type(0)  # -0 becomes 0
            found[row] = first.setdefault(hashlib.blake2b(value, digest_size=16).digest(), row)
        return found


def parts(count: int) -> Iterator[slice]:
    """Slices of at most CHUNK rows that cover ``count`` rows."""
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))


def _dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Dot products pair by pair, float64 [n]; unlike in a matrix product, the rounding does not depend on n."""
    return np.einsum("nd,nd->n", left, right)
