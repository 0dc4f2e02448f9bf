"""Index arithmetic on events of many videos that are kept in one array."""

from collections.abc import Sequence

import numpy as np

CELLS = 1 << 21  # numbers that may be copied at once


def expand(first: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All positions of ranges ``first[i]:first[i] + sizes[i]``, and which range each belongs to.

    >>> [part.tolist() for part in expand(np.array([5, 0]), np.array([2, 3]))]
    [[0, 0, 1, 1, 1], [5, 6, 0, 1, 2]]
    """
    owner = np.repeat(np.arange(len(sizes)), sizes)
    before = np.cumsum(sizes) - sizes
    return owner, np.arange(len(owner)) + np.repeat(first - before, sizes)


def joint_codes(*sides: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Integers that sort like (video, number), for several (videos, numbers): exact, so that ties stay ties."""
    numbers, place = np.unique(np.concatenate([side[1] for side in sides]), return_inverse=True)
    codes = np.concatenate([side[0] for side in sides]) * max(len(numbers), 1) + place
    return np.split(codes, np.cumsum([len(side[0]) for side in sides])[:-1])


def rank_in_video(video: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Rank of each event (N,) within its video by a number; ties keep their order.  ``video`` is ascending.

    >>> rank_in_video(np.array([0, 0, 1, 1]), np.array([3.0, 1.0, 2.0, 2.0])).tolist()
    [1, 0, 0, 1]
    """
    order = np.lexsort((number, video))
    rank = np.empty(len(video), dtype=np.int64)
    rank[order] = np.arange(len(video)) - np.searchsorted(video, video[order])
    return rank


def largest(values: np.ndarray, index: np.ndarray, size: int) -> np.ndarray:
    """The largest of ``values`` (K,) >= 0 for each value of ``index`` (K,), (size,); 0 where there is none."""
    best = np.zeros(size)
    np.maximum.at(best, index, values)
    return best


def sums_by(values: np.ndarray, owner: np.ndarray, sets: int, rows: np.ndarray | None = None) -> np.ndarray:
    """Sums (sets, K) of ``values`` (P, K), or of those in ``rows`` (P,), by the set ``owner`` (P,) of each row.

    Many chosen rows are taken column by column, which is slower but copies less at a time.
    """
    if rows is not None and len(rows) * values.shape[1] <= CELLS:
        values, rows = values[rows], None
    return np.stack([np.bincount(owner, weights=column if rows is None else column[rows], minlength=sets)
                     for column in values.T], axis=1)


def block_ends(sizes: np.ndarray, size: int) -> list[int]:
    """Ends of blocks of consecutive items whose ``sizes`` add up to about ``size``, at least one item per block.

    >>> block_ends(np.array([3, 3, 3, 9, 1]), 6)
    [1, 3, 5]
    """
    ends = np.flatnonzero(np.diff(np.cumsum(sizes) // size)) + 1
    return [*ends.tolist(), len(sizes)] if len(sizes) else []


def blocks_of(sizes: np.ndarray, size: int) -> list[slice]:
    """Slices of consecutive items whose ``sizes`` add up to about ``size`` (`block_ends`)."""
    ends = block_ends(sizes, size)
    return [slice(first, end) for first, end in zip([0, *ends], ends, strict=False)]


def count_distinct(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct codes, ascending, and how often each occurs: faster than `numpy.unique`, which hashes.

    >>> [part.tolist() for part in count_distinct(np.array([4, 1, 4]))]
    [[1, 4], [1, 2]]
    """
    codes = np.sort(codes)
    first = np.flatnonzero(np.concatenate([np.ones(min(len(codes), 1), dtype=bool), codes[1:] != codes[:-1]]))
    return codes[first], np.diff(np.append(first, len(codes)))


def add_counts(counted: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The counts of `count_distinct` of several blocks, as of all at once."""
    if len(counted) == 1:
        return counted[0]
    codes, counts = (np.concatenate(column) for column in zip(*counted, strict=True))
    distinct, place = np.unique(codes, return_inverse=True)
    return distinct, np.bincount(place, weights=counts, minlength=len(distinct)).astype(np.int64)
