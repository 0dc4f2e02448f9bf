"""Rows projected to few dimensions, whose products bound the cosines: most pairs need not be multiplied in full.

Let p be the first k coordinates of a row x of length 1 in an orthonormal basis, and r the length of the remainder; q
and s the same for a row y.  Then x y <= p q + r s (Cauchy and Schwarz on the remainders), and the right side is the
product of the rows [p, r] and [q, s], which are themselves of length 1.  Embeddings of captions lie near a subspace of
few dimensions, so r is small.  The choice of basis decides how many pairs are ruled out, never which row is nearest.
"""

import numpy as np

from hicm.memory.neighbours.rows import parts
from hicm.memory.neighbours.threads import for_each, in_threads

FROM = 2048  # rows; fewer are quickly multiplied in full
SAMPLE = 1024  # rows that the basis is computed from
STEP = 16  # the number of coordinates is a multiple of this
MOST = 128  # coordinates at most
LEFT = 0.07  # mean of r squared that is small enough
ROUNDS = 2  # iterations of the subspace iteration


def projected_rows(unit: np.ndarray) -> np.ndarray | None:
    """[p, r] of rows [m, D] of length 1 (or 0), float32 [m, k + 1]; None where D / 3 coordinates leave too much.

    The bound holds for the rows as given, up to the rounding that `Rows.margin` includes.
    """
    most = min(unit.shape[1] // 3, MOST) // STEP * STEP
    if len(unit) < FROM or most < STEP:
        return None
    sample = unit[np.linspace(0, len(unit) - 1, min(SAMPLE, len(unit))).astype(np.int64)]
    basis, left = next(in_threads(leading_directions, [(sample, most)]))
    enough = np.flatnonzero(left[STEP - 1::STEP] <= LEFT)
    if not len(enough):
        return None
    basis = basis[:, :STEP * (enough[0] + 1)]
    projected = np.empty((len(unit), basis.shape[1] + 1), np.float32)

    def project(part: slice) -> None:
        rows = unit[part].astype(np.float64)
        coordinates = rows @ basis
        projected[part, :-1] = coordinates
        rest = np.einsum("nd,nd->n", rows, rows) - np.einsum("nk,nk->n", coordinates, coordinates)
        projected[part, -1] = np.sqrt(np.maximum(rest, 0))

    for_each(project, ((part,) for part in parts(len(unit))))
    return projected


def leading_directions(sample: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The leading directions of a sample, float64 [D, most], and the mean r squared of the first 1 .. most, [most]."""
    moments = (sample.T @ sample.copy()).astype(np.float64) / len(sample)  # a copy: numpy issue 19685
    basis = np.random.default_rng(0).standard_normal((len(moments), most))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(moments @ basis)[0]
    shares, turn = np.linalg.eigh(basis.T @ moments @ basis)
    return basis @ turn[:, ::-1], np.trace(moments) - np.cumsum(shares[::-1])
