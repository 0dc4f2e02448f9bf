"""Exact nearest neighbours: every pair once in float32, what rounding leaves open again in float64."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, starmap
from threading import local
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from hicm.memory.neighbours.rows import Rows, parts

BLOCK = 512  # rows of a product
WIDER = 4  # times as many columns: few calls, and the product stays in the cache
HELD = 1 << 22  # candidates held at once

T = TypeVar("T")
Candidates = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows int64 [c], columns int64 [c], products float32 [c]


def nearest(rows: Rows, own: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """The nearest of ``own`` [m] other than itself for each of ``own``, int64 [m]; the lowest index on ties.

    ``own`` are two rows or more in ascending order, no two identical.  ``block`` has no influence on the result.
    """
    best = np.full(len(own), -np.inf, np.float32)
    return own[settle(rows, own, own, best, _all_pairs(unit_rows(rows, own), best, rows.margin, block))]


def nearest_of(rows: Rows, asked: np.ndarray, own: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """The same for a few of ``own``, ``asked`` [a]: int64 [a]."""
    best = np.full(len(asked), -np.inf, np.float32)
    return own[settle(rows, asked, own, best, _some_pairs(rows, asked, own, best, block))]


def unit_rows(rows: Rows, index: np.ndarray) -> np.ndarray:
    """`Rows.unit`, float32 [len(index), D], without float64 rows of that number."""
    unit = np.empty((len(index), rows.values.shape[1]), np.float32)
    for part in parts(len(index)):
        unit[part] = rows.unit(index[part])
    return unit


def blocks(count: int, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the blocks that cover all pairs i <= j, with a progress bar."""
    starts = [(a, b) for a in range(0, count, height) for b in range(a, count, width)]
    for a, b in tqdm(starts, "nearest neighbours", unit="block", disable=len(starts) < 16 * 17 // 2):
        yield slice(a, min(a + height, count)), slice(b, min(b + width, count))


def _all_pairs(unit: np.ndarray, best: np.ndarray, margin: np.float32, block: int) -> Iterator[Candidates]:
    """Candidates among rows [m, D] of length 1: a pair is multiplied once and looked at from both its sides.

    ``best`` float32 [m] is kept at the highest product of each row so far.  Threads may overwrite each other's
    progress there; a ``best`` that is too low lets more candidates through, never fewer.
    """
    rooms = local()  # one product a thread

    def compare(rows: slice, columns: slice) -> list[Candidates]:
        left, right = unit[rows].copy(), unit[columns]  # a copy: numpy issues 19685, 31776 (a matrix times itself)
        if not hasattr(rooms, "product"):
            rooms.product = np.empty(min(block, len(unit)) * min(WIDER * block, len(unit)), np.float32)
        product = rooms.product[:len(left) * len(right)].reshape(len(left), len(right))
        np.matmul(left, right.T, out=product)
        if rows.start == columns.start:
            np.fill_diagonal(product, -np.inf)
        i, j, cosines = _near_best(product, best[rows], margin, axis=1)
        found = [(i + rows.start, j + columns.start, cosines)]
        if columns.stop > rows.stop:  # the columns that are not among the rows, seen from their side
            new = max(columns.start, rows.stop)
            i, j, cosines = _near_best(product[:, new - columns.start:], best[new:columns.stop], margin, axis=0)
            found.append((j + new, i + rows.start, cosines))
        return found

    pairs = blocks(len(unit), block, WIDER * block)
    if len(unit) <= WIDER * block:
        found = starmap(compare, pairs)
    else:
        found = _in_threads(compare, pairs)
    return chain.from_iterable(found)


def _in_threads(work: Callable[..., T], items: Iterable[tuple]) -> Iterator[T]:
    """Results in order, from as many threads as the matrix product may use, each with a product of its own.

    Two products at once wait less than two halves of one, the more so on a busy machine.  Without threadpoolctl
    (scikit-learn brings it), one after the other.
    """
    try:
        from threadpoolctl import threadpool_info, threadpool_limits
    except ImportError:
        yield from starmap(work, items)
        return
    threads = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as executor:
        waiting: deque[Future[T]] = deque()
        for item in items:
            waiting.append(executor.submit(work, *item))
            if len(waiting) > 4 * threads:
                yield waiting.popleft().result()
        for one in waiting:
            yield one.result()


def _some_pairs(rows: Rows, asked: np.ndarray, own: np.ndarray, best: np.ndarray, block: int) -> Iterator[Candidates]:
    unit = unit_rows(rows, asked)
    for start in range(0, len(own), block):
        columns = own[start:start + block]
        product = unit @ unit_rows(rows, columns).T
        product[asked[:, None] == columns] = -np.inf
        i, j, cosines = _near_best(product, best, rows.margin, axis=1)
        yield i, j + start, cosines


def _near_best(product: np.ndarray, best: np.ndarray, margin: np.float32, axis: int) -> Candidates:
    """Places in a block that may be the highest of their row (axis 1) or column (axis 0); raises ``best``."""
    np.maximum(best, product.max(axis=axis), out=best)
    near = product >= np.expand_dims(best - margin, axis)
    i, j = np.divmod(np.flatnonzero(near), product.shape[1])  # faster than nonzero of a matrix
    return i, j, product[i, j]


def settle(rows: Rows, asked: np.ndarray, own: np.ndarray, best: np.ndarray,
           found: Iterator[Candidates]) -> np.ndarray:
    """Out of all candidates for ``asked`` [a] the column [a] of highest exact cosine, the lowest one on ties.

    ``best`` [a] is each row's highest product, up to date whenever a candidate comes.
    """
    held, count = [], 0
    for candidates in found:
        held.append(candidates)
        count += len(candidates[0])
        if count > HELD:  # many equal cosines
            held = [_winners(rows, asked, own, best, held)]
            count = len(held[0][0])
    return _winners(rows, asked, own, best, held)[1]


def _winners(rows: Rows, asked: np.ndarray, own: np.ndarray, best: np.ndarray, held: list[Candidates]) -> Candidates:
    """At most one candidate a row is left, in the order of rows."""
    i, j, product = (np.concatenate(side) for side in zip(*held, strict=True))
    still = product >= best[i] - rows.margin
    i, j, product = i[still], j[still], product[still]
    exact = np.ones(len(i))
    open_ = np.bincount(i, minlength=len(asked))[i] > 1
    exact[open_] = rows.cosines(asked[i[open_]], own[j[open_]])
    order = np.lexsort((j, -exact, i))
    first = order[np.flatnonzero(np.diff(i[order], prepend=-1))]
    return i[first], j[first], product[first]
