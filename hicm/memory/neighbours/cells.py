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
MORE = 4  # centres compared with a row, times the number of cells asked for


class Cells:
    """A partition of ``own`` [m], rows of ``rows`` numbered from 0 within ``own``.

    ``members`` has the rows of each cell, ``asked`` int32 [m, a] the cells in which each row should look, its own cell
    first, then ever farther ones; a is ``most`` or the number of cells if there are fewer.
    """

    def __init__(self, rows: Rows, own: np.ndarray, most: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        count = max(1, min(int(CELLS * len(own)**0.5), len(own) // 8))
        drawn = np.sort(rng.choice(len(own), min(len(own), TRAINING * count), replace=False))
        basis = _basis(rows, own[drawn])
        points = _projected(rows, own, basis)
        centres = _centres(points[drawn], count, rng)
        cell = _nearest_centre(points, centres)
        self.members = _groups(cell[:, None], count)
        self.asked = np.empty((len(own), min(most, count)), np.int32)
        self.asked[:, 0] = cell

        def rank(number: int) -> None:
            members = self.members[number]
            near = _near_centres(centres, number, MORE * self.asked.shape[1])
            closeness = points[members] @ centres[near].T - _half_squares(centres[near])
            order = np.argsort(-closeness, axis=1, kind="stable")[:, :self.asked.shape[1] - 1]
            self.asked[members, 1:] = near[order]

        if self.asked.shape[1] > 1:
            for_each(rank, ((number,) for number in range(count)))

    def askers(self, first: int, last: int) -> list[np.ndarray]:
        """For each cell, the rows that have it at places ``first`` .. ``last`` - 1 of ``asked``, ascending."""
        return _groups(self.asked[:, first:last], len(self.members))


def _groups(cells: np.ndarray, count: int) -> list[np.ndarray]:
    """The rows of ``cells`` [m, a] in which each of ``count`` cells occurs."""
    starts = np.arange(len(cells) + 1) * cells.shape[1]
    table = scipy.sparse.csr_array((np.ones(cells.size, bool), cells.ravel(), starts), shape=(len(cells), count))
    table = table.tocsc()
    return np.split(table.indices, table.indptr[1:-1])


def _basis(rows: Rows, drawn: np.ndarray) -> np.ndarray:
    """Float32 [D, k] with orthonormal columns."""
    sample = rows.unit(drawn[:DIRECTIONS * TRAINING])
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
        cell = _nearest_centre(points, centres)
        order = np.argsort(cell, kind="stable")
        first = np.flatnonzero(np.diff(cell[order], prepend=-1))
        sizes = np.diff(np.append(first, len(order)))
        centres[cell[order[first]]] = np.add.reduceat(points[order], first) / sizes[:, None].astype(np.float32)
    return centres


def _nearest_centre(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Of each point, int32 [m]."""
    cell, half = np.empty(len(points), np.int32), _half_squares(centres)

    def assign(part: slice) -> None:
        product = points[part] @ centres.T
        product -= half
        cell[part] = product.argmax(axis=1)

    for_each(assign, ((part,) for part in parts(len(points))))
    return cell


def _near_centres(centres: np.ndarray, number: int, most: int) -> np.ndarray:
    """Those nearest to one of them, without itself, int64 [at most ``most``]."""
    closeness = centres @ centres[number] - _half_squares(centres)
    closeness[number] = -np.inf
    return np.argsort(-closeness, kind="stable")[:min(most, len(centres) - 1)]


def _half_squares(centres: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->n", centres, centres) / 2
