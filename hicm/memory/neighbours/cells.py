"""Rows divided into cells, and the cells near each row, in which its neighbours are sought.

The cells are those of k-means (Lloyd's iteration) on the rows projected to their leading directions: distances to the
centres cost a fraction there, and only decide where to look.  All products are made block by block with one BLAS thread
each, so the cells do not depend on the number of threads.
"""

import numpy as np
import scipy.sparse
from tqdm import tqdm

from hicm.memory.neighbours.projected import leading_directions
from hicm.memory.neighbours.rows import Rows, parts
from hicm.memory.neighbours.threads import for_each, in_threads

CELLS = 4  # cells, times the square root of the number of rows
TRAINING = 32  # rows per cell that k-means is trained on
ROUNDS = 8  # iterations of k-means
DIRECTIONS = 64  # coordinates of the projected rows
SAMPLE = 2048  # rows that the directions are computed from
BLOCK = 256  # points compared with all centres at once


class Cells:
    """A partition of ``own`` [m], rows of ``rows``: ``members`` are the rows of each cell, numbered within ``own``."""

    def __init__(self, rows: Rows, own: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        count = max(1, min(int(CELLS * len(own)**0.5), len(own) // 8))
        drawn = np.sort(rng.choice(len(own), min(len(own), TRAINING * count), replace=False))
        self._points = _projected(rows, own, _basis(rows, own[drawn]))
        self._centres = _centres(self._points[drawn], count, rng)
        self.members = self.askers(0, 1)

    def askers(self, first: int, last: int) -> list[np.ndarray]:
        """For each cell, the rows to which its centre is the nearest but ``first``, .. ``last`` - 1, ascending."""
        near = _nearest_centres(self._points, self._centres, min(last, len(self._centres)))
        return _groups(near[:, first:], len(self._centres))


def _groups(cells: np.ndarray, count: int) -> list[np.ndarray]:
    """The rows of ``cells`` [m, a] in which each of ``count`` cells occurs."""
    starts = np.arange(len(cells) + 1) * cells.shape[1]
    table = scipy.sparse.csr_array((np.ones(cells.size, bool), cells.ravel(), starts), shape=(len(cells), count))
    table = table.tocsc()
    return np.split(table.indices, table.indptr[1:-1])


def _basis(rows: Rows, drawn: np.ndarray) -> np.ndarray:
    """Float32 [D, k] with orthonormal columns."""
    sample = rows.unit(drawn[np.linspace(0, len(drawn) - 1, min(len(drawn), SAMPLE)).astype(np.int64)])
    found = next(in_threads(leading_directions, [(sample, min(DIRECTIONS, sample.shape[1]))]))
    return found[0].astype(np.float32)


def _projected(rows: Rows, own: np.ndarray, basis: np.ndarray) -> np.ndarray:
    points = np.empty((len(own), basis.shape[1]), np.float32)

    def project(part: slice) -> None:
        np.matmul(rows.unit(own[part]), basis, out=points[part])

    for_each(project, ((part,) for part in parts(len(own))))
    return points


def _centres(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Float32 [count, k]: means of the points nearest to them; a centre without points stays where it was."""
    centres = points[np.sort(rng.choice(len(points), count, replace=False))]
    for _ in tqdm(range(ROUNDS), "cells", unit="round", disable=len(points) < 1 << 16):
        cell = _nearest_centres(points, centres)[:, 0]
        order = np.argsort(cell, kind="stable")
        first = np.flatnonzero(np.diff(cell[order], prepend=-1))
        sizes = np.diff(np.append(first, len(order)))
        centres[cell[order[first]]] = np.add.reduceat(points[order], first) / sizes[:, None].astype(np.float32)
    return centres


def _nearest_centres(points: np.ndarray, centres: np.ndarray, most: int = 1) -> np.ndarray:
    """The ``most`` centres nearest to each point, nearest first, int32 [m, most]."""
    near = np.empty((len(points), most), np.int32)
    half = np.einsum("nk,nk->n", centres, centres) / 2

    def find(part: slice) -> None:
        closeness = points[part] @ centres.T
        closeness -= half
        index = np.arange(len(closeness))
        for place in range(most):  # faster than a partial sort
            near[part, place] = found = closeness.argmax(axis=1)
            closeness[index, found] = -np.inf

    for_each(find, ((slice(start, start + BLOCK),) for start in range(0, len(points), BLOCK)))
    return near
