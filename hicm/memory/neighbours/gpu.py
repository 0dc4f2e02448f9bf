"""The products of `exact` on a torch device, with the same certificate and therefore the same neighbours."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from hicm.memory.neighbours.exact import Candidates, blocks, settle, unit_rows
from hicm.memory.neighbours.rows import Rows

BLOCK = 8192  # rows and columns per product: 268 MB


def available() -> bool:
    """Whether torch is installed and sees a CUDA device."""
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def nearest(rows: Rows, own: np.ndarray, device: str = "cuda", block: int = BLOCK) -> np.ndarray:
    """`exact.nearest` with the products on ``device``, whose memory must hold all of ``own`` as float32 [m, D]."""
    best = np.full(len(own), -np.inf, np.float32)
    with _full_precision():
        return own[settle(rows, own, own, best, _all_pairs(unit_rows(rows, own), best, rows.margin, device, block))[1]]


def _all_pairs(unit: np.ndarray, best: np.ndarray, margin: np.float32, device: str, block: int) -> Iterator[Candidates]:
    """Candidates as in `exact`; ``best`` float32 [m] is kept up to date on the host."""
    import torch

    with torch.inference_mode():
        points = torch.from_numpy(unit).to(device)
        highest = torch.full((len(unit),), -torch.inf, device=device)
        for rows, columns in blocks(len(unit), block, block):
            product = points[rows] @ points[columns].T
            if rows == columns:
                product.fill_diagonal_(-torch.inf)
            i, j, cosines = _near_best(product, highest[rows], float(margin), axis=1)
            best[rows] = highest[rows].cpu().numpy()
            yield i + rows.start, j + columns.start, cosines
            if rows != columns:
                i, j, cosines = _near_best(product, highest[columns], float(margin), axis=0)
                best[columns] = highest[columns].cpu().numpy()
                yield j + columns.start, i + rows.start, cosines


def _near_best(product: Any, best: Any, margin: float, axis: int) -> Candidates:
    """The entries of a block that may be the highest of their row (axis 1) or column (axis 0); updates ``best``."""
    best.copy_(best.maximum(product.amax(dim=axis)))
    i, j = (product >= (best - margin).unsqueeze(axis)).nonzero(as_tuple=True)
    return i.cpu().numpy(), j.cpu().numpy(), product[i, j].cpu().numpy()


@contextmanager
def _full_precision() -> Iterator[None]:
    """Switch TF32 off: it rounds to 11 bits, far outside the certificate."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
