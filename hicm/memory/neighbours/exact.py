"""Exact nearest neighbours: every pair once in float32, and again in float64 where rounding leaves the result open.

Where projections to few dimensions bound the cosines (`projected`), every pair is multiplied in the projection, and in
full only where the bound does not rule it out.
"""

from collections.abc import Callable, Iterator
from itertools import chain, starmap
from threading import local

import numpy as np
from tqdm import tqdm

from hicm.memory.neighbours.projected import projected_rows
from hicm.memory.neighbours.rows import Rows, parts
from hicm.memory.neighbours.threads import in_threads

BLOCK = 512  # rows per product
WIDER = 4  # times as many columns: few calls, and the product still fits the cache
HELD = 1 << 22  # candidates held in memory at once

Cosine = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of pairs (i, j), float32, within half a margin of exact
Candidates = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows int64 [c], columns int64 [c], products float32 [c]


def nearest(rows: Rows, own: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """For each of ``own`` [m], the nearest other one of them, int64 [m]; the lowest index on ties.

    ``own`` are at least two rows in ascending order, no two identical.  ``block`` does not affect the result.
    """
    best, unit = np.full(len(own), -np.inf, np.float32), unit_rows(rows, own)
    projected = projected_rows(unit)
    if projected is None:
        return own[settle(rows, own, own, best, _all_pairs(unit, best, rows.margin, block))[1]]

    def cosine(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        found = np.empty(len(i), np.float32)
        for part in parts(len(i)):
            found[part] = np.einsum("nd,nd->n", unit[i[part]], unit[j[part]])
        np.maximum.at(best, j, found)  # the other side of the pair benefits too
        return found

    return own[settle(rows, own, own, best, _all_pairs(projected, best, rows.margin, block, cosine), cosine)[1]]


def nearest_of(rows: Rows, asked: np.ndarray, own: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """`nearest` for a few of ``own`` only, ``asked`` [a]: int64 [a]."""
    best = np.full(len(asked), -np.inf, np.float32)
    return own[settle(rows, asked, own, best, _some_pairs(rows, asked, own, best, block))[1]]


def unit_rows(rows: Rows, index: np.ndarray) -> np.ndarray:
    """`Rows.unit`, float32 [len(index), D], without holding as many float64 rows."""
    unit = np.empty((len(index), rows.values.shape[1]), np.float32)
    for part in parts(len(index)):
        unit[part] = rows.unit(index[part])
    return unit


def blocks(count: int, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Slices of rows and columns of the blocks that cover all pairs i <= j, with a progress bar."""
    starts = [(a, b) for a in range(0, count, height) for b in range(a, count, width)]
    for a, b in tqdm(starts, "nearest neighbours", unit="block", disable=len(starts) < 16 * 17 // 2):
        yield slice(a, min(a + height, count)), slice(b, min(b + width, count))


def _all_pairs(unit: np.ndarray, best: np.ndarray, margin: np.float32, block: int,
               cosine: Cosine | None = None) -> Iterator[Candidates]:
    """Candidates among rows [m, D] of length 1: a pair is multiplied once and examined from both its sides.

    ``best`` float32 [m] holds the highest product of each row so far; where the products are only bounds, the highest
    ``cosine`` of the pairs examined.  Threads may overwrite each other's progress there; a ``best`` that is too low
    lets more candidates through, never fewer.
    """
    buffers = local()  # one product per thread

    def compare(rows: slice, columns: slice) -> list[Candidates]:
        left, right = unit[rows].copy(), unit[columns]  # copy: numpy issues 19685 and 31776 (a matrix times itself)
        if not hasattr(buffers, "product"):
            buffers.product = np.empty(min(block, len(unit)) * min(WIDER * block, len(unit)), np.float32)
        product = buffers.product[:len(left) * len(right)].reshape(len(left), len(right))
        np.matmul(left, right.T, out=product)
        if rows.start == columns.start:
            np.fill_diagonal(product, -np.inf)
        i, j, cosines = near_best(product, best[rows], margin, cosine and (
            lambda i, j: cosine(i + rows.start, j + columns.start)))
        found = [(i + rows.start, j + columns.start, cosines)]
        if columns.stop > rows.stop:  # columns that are not among the rows, from their side
            new = max(columns.start, rows.stop)
            i, j, cosines = near_best_column(product[:, new - columns.start:], best[new:columns.stop], margin,
                                             cosine and (lambda i, j: cosine(i + new, j + rows.start)))
            found.append((i + new, j + rows.start, cosines))
        return found

    pairs = blocks(len(unit), block, WIDER * block)
    return chain.from_iterable(starmap(compare, pairs) if len(unit) <= WIDER * block else in_threads(compare, pairs))


def _some_pairs(rows: Rows, asked: np.ndarray, own: np.ndarray, best: np.ndarray, block: int) -> Iterator[Candidates]:
    unit = unit_rows(rows, asked)

    def compare(start: int) -> Candidates:
        columns = own[start:start + block]
        product = unit @ rows.unit(columns).T
        product[asked[:, None] == columns] = -np.inf
        i, j, cosines = near_best(product, best, rows.margin)
        return i, j + start, cosines

    return in_threads(compare, ((start,) for start in range(0, len(own), block)))


def near_best(product: np.ndarray, best: np.ndarray, margin: np.float32, cosine: Cosine | None = None) -> Candidates:
    """The entries of a block [a, b] that may be the highest of their row; updates ``best`` [a]."""
    highest = product.max(axis=1)
    if cosine is None:
        np.maximum(best, highest, out=best)
    else:
        raised = np.flatnonzero(highest > best)
        best[raised] = np.maximum(best[raised], cosine(raised, product[raised].argmax(axis=1)))
    open_ = np.flatnonzero(highest >= best - margin)
    part = product[open_]
    i, j = np.divmod(np.flatnonzero(part >= (best[open_] - margin)[:, None]), part.shape[1])  # faster than nonzero
    return open_[i], j, part[i, j]


def near_best_column(product: np.ndarray, best: np.ndarray, margin: np.float32,
                     cosine: Cosine | None = None) -> Candidates:
    """`near_best` for the columns of a block [b, a], without transposing it: picking out columns is slow."""
    highest = product.max(axis=0)
    if cosine is None:
        np.maximum(best, highest, out=best)
    else:
        raised = np.flatnonzero(highest > best)
        if len(raised) > len(best) // 16:
            place = np.empty(len(best), np.int64)
            j, i = np.divmod(np.flatnonzero(product == highest), len(best))
            place[i] = j
            place = place[raised]
        else:
            place = product[:, raised].argmax(axis=0)
        best[raised] = np.maximum(best[raised], cosine(raised, place))
    least = best - margin
    open_ = np.flatnonzero(highest >= least)
    if len(open_) > len(best) // 16:
        j, i = np.divmod(np.flatnonzero(product >= least), len(best))
    else:
        j, i = np.nonzero(product[:, open_] >= least[open_])
        i = open_[i]
    return i, j, product[j, i]


def settle(rows: Rows, asked: np.ndarray, own: np.ndarray, best: np.ndarray, found: Iterator[Candidates],
           cosine: Cosine | None = None) -> Candidates:
    """For each of ``asked`` [a], the candidate of highest exact cosine, that of the lowest column on ties.

    Rows are in ascending order; those without any candidate are left out.

    ``best`` [a] is the highest product of each row, up to date whenever a candidate arrives.  ``cosine`` is given where
    the products of the candidates are only bounds.
    """
    held: list[Candidates] = []
    count = 0
    for candidates in found:
        held.append(candidates)
        count += len(candidates[0])
        if count > HELD:  # many equal cosines
            held = [_winners(rows, asked, own, best, held, cosine)]
            count = len(held[0][0])
    return _winners(rows, asked, own, best, held, cosine)


def _winners(rows: Rows, asked: np.ndarray, own: np.ndarray, best: np.ndarray, held: list[Candidates],
             cosine: Cosine | None) -> Candidates:
    """At most one candidate per row, in the order of the rows."""
    i, j, product = (np.concatenate(side) for side in zip(*held, strict=True))
    once = np.unique(i.astype(np.int64) * len(own) + j, return_index=True)[1]  # a pair may be found from both its sides
    once = once[product[once] >= best[i[once]] - rows.margin]
    i, j, product = i[once], j[once], product[once]
    if cosine is not None:
        product = cosine(i, j)
        np.maximum.at(best, i, product)
        still = product >= best[i] - rows.margin
        i, j, product = i[still], j[still], product[still]
    exact = np.ones(len(i))
    open_ = np.bincount(i, minlength=len(asked))[i] > 1
    exact[open_] = rows.cosines(asked[i[open_]], own[j[open_]])
    order = np.lexsort((j, -exact, i))
    first = order[np.flatnonzero(np.diff(i[order], prepend=-1))]
    return i[first], j[first], product[first]
