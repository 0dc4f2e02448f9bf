"""Approximate nearest neighbours for hundreds of thousands of rows, and how often they agree with the exact ones.

A row is compared only with the rows of a few cells of a k-means partition (Jégou et al., "Product Quantization for
Nearest Neighbor Search", PAMI 2011, sec. IV, without the quantization).  All rows that look into one cell are
multiplied with it at once, and the rows of the cell learn of those that looked, too.  Of the pairs that were compared,
the nearest are found exactly, as in `exact`.
"""

import warnings
from collections.abc import Callable, Iterator
from itertools import chain, pairwise

import numpy as np
from tqdm import tqdm

from hicm.memory.neighbours.cells import Cells
from hicm.memory.neighbours.exact import Candidates, near_best, near_best_column, nearest_of, settle
from hicm.memory.neighbours.exact import nearest as exact_nearest
from hicm.memory.neighbours.rows import Rows
from hicm.memory.neighbours.threads import in_threads

PROBES = (4, 8, 16, 32, 64, 128, 256)  # cells searched per row: the first number that agrees well enough
WANTED = 0.996  # agreement that is good enough; if no number of cells reaches it, all pairs are compared
MOST_PAIRS = 10**11  # at most this many pairs: more would take hours
SAMPLE = 2000  # rows that the agreement is measured on
BLOCK = 1024  # rows multiplied with a cell at once


def nearest(rows: Rows, own: np.ndarray, seed: int = 0) -> tuple[np.ndarray, float]:
    """A near neighbour among ``own`` [m] for each of ``own``, int64 [m], and the agreement.

    The agreement is the share of 2,000 rows drawn with ``seed`` (of all rows, if there are fewer) whose neighbour is
    the exact one.  Warns where it is below `WANTED`, and then compares all pairs if they are not too many.
    """
    cells = Cells(rows, own, seed)
    sample = np.sort(np.random.default_rng(seed).choice(len(own), min(SAMPLE, len(own)), replace=False))
    expected = nearest_of(rows, own[sample], own)
    best = np.full(len(own), -np.inf, np.float32)
    found: Candidates = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    result, agreement = np.full(len(own), -1), 0.0
    for first, last in pairwise((0, *PROBES)):
        found = settle(rows, own, own, best, chain([found], _compare(rows, own, cells, best, first, last)))
        result[found[0]] = own[found[1]]
        agreement = float(np.mean(result[sample] == expected))
        if agreement >= WANTED or last >= len(cells.members):
            break
    else:
        pairs = len(own)**2
        said = (f"approximate neighbours agree with the exact ones for {agreement:.1%} of rows, less than the "
                f"{WANTED:.1%} wanted")
        if pairs <= MOST_PAIRS:
            warnings.warn(f"{said}; all {pairs:.1e} pairs are compared instead", stacklevel=2)
            return exact_nearest(rows, own), 1.0
        warnings.warn(f"{said}, and all {pairs:.1e} pairs are too many to compare; the approximate ones are used (or "
                      "set memory.neighbours=exact)", stacklevel=2)
    alone = np.flatnonzero(result < 0)  # the only row in all its cells
    if len(alone):
        result[alone] = nearest_of(rows, own[alone], own)
        agreement = float(np.mean(result[sample] == expected))
    return result, agreement


def _compare(rows: Rows, own: np.ndarray, cells: Cells, best: np.ndarray, first: int,
             last: int) -> Iterator[Candidates]:
    """Candidates of the rows and the cells that are their ``first``, .. ``last`` - 1 nearest."""

    def within(members: np.ndarray) -> list[Candidates]:
        unit, found = rows.unit(own[members]), []
        for start in range(0, len(members), BLOCK):
            left = slice(start, start + BLOCK)
            product = unit[left].copy() @ unit.T  # copy: numpy issues 19685 and 31776 (a matrix times itself)
            np.fill_diagonal(product[:, start:], -np.inf)
            found.append(_rows(product, members[left], members, best, rows.margin))
        return found

    def between(askers: np.ndarray, members: np.ndarray) -> list[Candidates]:
        right, found = rows.unit(own[members]), []
        for start in range(0, len(askers), BLOCK):
            left = askers[start:start + BLOCK]
            product = rows.unit(own[left]) @ right.T
            found += [_rows(product, left, members, best, rows.margin),
                      _columns(product, left, members, best, rows.margin)]
        return found

    if first == 0:
        yield from _in_turn(within, [(members,) for members in cells.members if len(members) > 1])
    pairs = zip(cells.askers(max(first, 1), last), cells.members, strict=True)
    yield from _in_turn(between, [(askers, members) for askers, members in pairs if len(askers) and len(members)])


def _in_turn(work: Callable[..., list[Candidates]], items: list[tuple]) -> Iterator[Candidates]:
    bar = tqdm(items, "nearest neighbours", unit="cell", disable=len(items) < 2048)
    return chain.from_iterable(in_threads(work, bar))


def _rows(product: np.ndarray, left: np.ndarray, right: np.ndarray, best: np.ndarray, margin: np.float32) -> Candidates:
    """Candidates for the rows ``left`` of a product.  Updates ``best``; threads may overwrite it, as in `exact`."""
    mine = best[left]
    i, j, cosines = near_best(product, mine, margin)
    best[left] = np.maximum(best[left], mine)
    return left[i], right[j], cosines


def _columns(product: np.ndarray, left: np.ndarray, right: np.ndarray, best: np.ndarray,
             margin: np.float32) -> Candidates:
    """The same for its columns, the rows ``right``."""
    mine = best[right]
    j, i, cosines = near_best_column(product, mine, margin)
    best[right] = np.maximum(best[right], mine)
    return right[j], left[i], cosines
