"""Approximate nearest neighbours for hundreds of thousands of rows, and how often they agree with the exact ones.

A row is compared only with the rows in a few cells of a k-means partition (Jégou et al., "Product Quantization for
Nearest Neighbor Search", PAMI 2011, sec. IV, without the quantization), by faiss.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.errors import UserError
from hicm.memory.neighbours.exact import nearest_of, unit_rows
from hicm.memory.neighbours.rows import Rows

CELLS = 4  # cells, times the square root of the number of rows
TRAINING = 32  # rows per cell that k-means is trained on
ROUNDS = 8  # iterations of k-means
PROBES = (8, 16, 32)  # cells searched per row: the first number that agrees well enough, else the last
WANTED = 0.98  # agreement that is good enough
SAMPLE = 1000  # rows that the agreement is measured on
CHUNK = 8192  # rows processed at once


def nearest(rows: Rows, own: np.ndarray, seed: int = 0) -> tuple[np.ndarray, float]:
    """A near neighbour among ``own`` [m] for each of ``own``, int64 [m], and the agreement.

    The agreement is the share of 1,000 rows drawn with ``seed`` (of all rows, if there are fewer) whose neighbour is
    the exact one.  Raises UserError when faiss is not installed.
    """
    index, cells = _index(rows, own, seed)
    sample = np.sort(np.random.default_rng(seed).choice(len(own), min(SAMPLE, len(own)), replace=False))
    expected = nearest_of(rows, own[sample], own)
    for probes in PROBES:
        agreement = float(np.mean(_search(rows, own, index, cells[:, :probes], sample) == expected))
        if agreement >= WANTED or probes >= cells.shape[1]:
            break
    return _search(rows, own, index, cells[:, :probes], np.argsort(cells[:, 0], kind="stable")), agreement


def _index(rows: Rows, own: np.ndarray, seed: int) -> tuple[Any, np.ndarray]:
    """The filled index, numbered within ``own``, and the nearest cells of each row, int64 [m, probes]."""
    try:
        import faiss
        from faiss.contrib.ivf_tools import add_preassigned
    except ImportError:
        raise UserError("clustering: approximate neighbours need the package faiss-cpu; pip install 'hicm[large]', or "
                        "set memory.neighbours=exact") from None
    width, count = rows.values.shape[1], max(1, min(int(CELLS * len(own)**0.5), len(own) // 8))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, count, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed = ROUNDS, seed
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, TRAINING
    drawn = np.random.default_rng(seed).choice(len(own), min(len(own), TRAINING * count), replace=False)
    index.train(unit_rows(rows, own[np.sort(drawn)]))
    cells = np.empty((len(own), min(PROBES[-1], count)), np.int64)
    for part in _parts(len(own), "filling cells"):
        unit = unit_rows(rows, own[part])
        cells[part] = index.quantizer.search(unit, cells.shape[1])[1]
        add_preassigned(index, unit, np.ascontiguousarray(cells[part, 0]))
    return index, cells


def _search(rows: Rows, own: np.ndarray, index: Any, cells: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Nearest among ``own`` for ``own[asked]``, int64 [asked], in the order of ascending ``asked``.

    Rows of one cell should be next to each other in ``asked``: they read the same memory.
    """
    index.nprobe = cells.shape[1]
    found = np.full(len(own), -1)
    for part in _parts(len(asked), "nearest neighbours"):
        these = asked[part]
        two = index.search_preassigned(unit_rows(rows, own[these]), 2, cells[these], None)[1]
        found[these] = np.where(two[:, 0] == these, two[:, 1], two[:, 0])
    asked = np.sort(asked)
    alone = asked[found[asked] < 0]  # the only row in all its cells
    result = own[found[asked]]
    for part in _parts(len(alone), "rows alone in their cells"):
        result[np.searchsorted(asked, alone[part])] = nearest_of(rows, own[alone[part]], own)
    return result


def _parts(count: int, what: str) -> Iterator[slice]:
    starts = range(0, count, CHUNK)
    for start in tqdm(starts, what, unit="block", disable=len(starts) < 16):
        yield slice(start, start + CHUNK)
