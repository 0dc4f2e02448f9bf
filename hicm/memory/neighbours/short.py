"""Short rows whose products bound the cosines of long ones: most pairs need not be multiplied in full.

Let p be the first k coordinates of a row x of length 1 in an orthonormal basis, and r the length of what they leave of
it; q and s those of a row y.  Then x y <= p q + r s (Cauchy and Schwarz on what is left), and the right side is the
product of the rows [p, r] and [q, s], themselves of length 1.  Embeddings of captions lie near few dimensions, so r is
small.  Which basis is taken decides how many pairs are ruled out, never which row is nearest.
"""

import numpy as np

from hicm.memory.neighbours.rows import Rows, parts

FROM = 2048  # rows; fewer are quickly multiplied
SAMPLE = 1024  # rows that the basis is drawn from
STEP = 16  # coordinates
MOST = 128  # coordinates
LEFT = 0.07  # mean of r squared that is small enough
ROUNDS = 2  # of subspace iteration


def short_rows(rows: Rows, own: np.ndarray) -> np.ndarray | None:
    """[p, r] of ``own`` [m], float32 [m, k + 1]; None where less than three times shorter rows leave too much."""
    most = min(rows.values.shape[1] // 3, MOST) // STEP * STEP
    if len(own) < FROM or most < STEP:
        return None
    basis, left = _basis(rows, own[np.linspace(0, len(own) - 1, min(SAMPLE, len(own))).astype(np.int64)], most)
    enough = np.flatnonzero(left[STEP - 1::STEP] <= LEFT)
    if not len(enough):
        return None
    basis = basis[:, :STEP * (enough[0] + 1)]
    short = np.empty((len(own), basis.shape[1] + 1), np.float32)
    for part in parts(len(own)):
        unit = _unit(rows, own[part])
        coordinates = unit @ basis
        short[part, :-1] = coordinates
        rest = np.einsum("nd,nd->n", unit, unit) - np.einsum("nk,nk->n", coordinates, coordinates)
        short[part, -1] = np.sqrt(np.maximum(rest, 0))
    return short


def _basis(rows: Rows, sample: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The leading directions of a sample, float64 [D, most], and what the first 1 .. most of them leave, [most]."""
    unit = _unit(rows, sample)
    half = unit.astype(np.float32)
    moments = (half.T @ half.copy()).astype(np.float64) / len(unit)  # a copy: numpy issue 19685
    basis = np.random.default_rng(0).standard_normal((len(moments), most))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(moments @ basis)[0]
    shares, turn = np.linalg.eigh(basis.T @ moments @ basis)
    return basis @ turn[:, ::-1], np.trace(moments) - np.cumsum(shares[::-1])


def _unit(rows: Rows, index: np.ndarray) -> np.ndarray:
    """Rows of length 1, float64."""
    return rows.values[index].astype(np.float64) / np.sqrt(rows.squares[index])[:, None]
