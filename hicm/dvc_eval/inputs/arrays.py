"""Index arithmetic on events of many videos that are kept in one array."""

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
    for block in slices(len(values), CELLS):
        np.maximum.at(best, index[block], values[block])
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


def slices(count: int, size: int) -> list[slice]:
    """Slices of ``count`` items, ``size`` at a time."""
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def sort_stably(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers (N,) >= 0 in ascending order, and the position (N,) of each; ties keep their order.

    Number and position are sorted as one integer, where it has the bits: numpy sorts integers faster than positions.

    >>> [part.tolist() for part in sort_stably(np.array([70_000, 4, 70_000, 1]))]
    [[1, 4, 70000, 70000], [3, 1, 0, 2]]
    """
    bits = len(numbers).bit_length()
    if int(numbers.max(initial=0)).bit_length() + bits > 63:
        order = np.argsort(numbers, kind="stable")
        return numbers[order], order
    both = numbers.astype(np.int64) << bits
    both |= np.arange(len(numbers))
    both.sort()
    return both >> bits, both & ((1 << bits) - 1)


def is_first(ordered: np.ndarray) -> np.ndarray:
    """Mask (N,) of the numbers that differ from the one before, among sorted ones (N,)."""
    first = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def count_distinct(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct codes, ascending, and how often each occurs: faster than `numpy.unique`, which hashes.

    >>> [part.tolist() for part in count_distinct(np.array([4, 1, 4]))]
    [[1, 4], [1, 2]]
    """
    codes = np.sort(codes)
    first = np.flatnonzero(is_first(codes))
    return codes[first], np.diff(np.append(first, len(codes)))


def find_distinct(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct codes >= 0, ascending, and the index of each code (N,) in them, as of `numpy.unique`, but faster.

    >>> [part.tolist() for part in find_distinct(np.array([4, 1, 4]))]
    [[1, 4], [1, 0, 1]]
    """
    ordered, order = sort_stably(codes)
    first = is_first(ordered)
    place = np.empty(len(codes), dtype=np.int64)
    place[order] = np.cumsum(first) - 1
    return ordered[first], place
