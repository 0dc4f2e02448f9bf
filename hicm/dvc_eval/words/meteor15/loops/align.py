"""The loops of `hicm.dvc_eval.words.meteor15.align`: a beam search over the reference, word by word.

A path is the choice made so far: its gain, chunks and distance, where the last match ends in the candidate (-1: no
chunk is open) and how far the reference is covered.  More gain is better, then fewer chunks, then less distance; paths
that tie keep their order.  Rank is chunks - gain x 2^32, so that lower is better.
"""

import numpy as np
from numba import njit

from hicm.dvc_eval.words.meteor15.layout import BEAM, FIELDS

GAIN = 1 << 32
RANK, DISTANCE, LAST, NEXT, PARENT, MATCH = range(FIELDS)  # of a path; parent and match (-1: none) are its last step
NO_MATCH = -1


@njit
def _group(matches, first_match, end_match, length2, first, by_start):
    """Order the matches of a pair by start2, stably: ``by_start[first[j]:first[j + 1]]`` are those that start at j."""
    for j in range(length2 + 2):
        first[j] = 0
    for m in range(first_match, end_match):
        first[matches[m, 0] + 2] += 1
    for j in range(length2):
        first[j + 2] += first[j + 1]
    for m in range(first_match, end_match):  # first[j + 1] runs from the first match at j to the first one at j + 1
        j = matches[m, 0] + 1
        by_start[first[j]] = m
        first[j] += 1


@njit
def _fix(matches, length1, length2, first, by_start, cover, fixed):
    """The matches that have no rival: the only one at their start, and the only one on every word they span."""
    for at in range(max(length1, length2)):
        cover[0, at] = cover[1, at] = 0
    for place in range(first[length2]):
        m = by_start[place]
        for side in range(2):
            for at in range(matches[m, 2 - 2 * side], matches[m, 2 - 2 * side] + matches[m, 3 - 2 * side]):
                cover[side, at] += 1
    for j in range(length2):
        fixed[j] = NO_MATCH
        if first[j + 1] - first[j] == 1:
            m = by_start[first[j]]
            alone = True
            for side in range(2):
                for at in range(matches[m, 2 - 2 * side], matches[m, 2 - 2 * side] + matches[m, 3 - 2 * side]):
                    alone = alone and cover[side, at] == 1
            if alone:
                fixed[j] = m


@njit
def _free(used, path, matches, m):
    """Whether a path has used no word of a match; ``used`` (2 sides, BEAM, n) uint64 holds one bit per word."""
    for side in range(2):
        for at in range(matches[m, 2 - 2 * side], matches[m, 2 - 2 * side] + matches[m, 3 - 2 * side]):
            if (used[side, path, at >> 6] >> np.uint64(at & 63)) & np.uint64(1):
                return False
    return True


@njit
def _use(used, path, matches, m):
    for side in range(2):
        for at in range(matches[m, 2 - 2 * side], matches[m, 2 - 2 * side] + matches[m, 3 - 2 * side]):
            used[side, path, at >> 6] |= np.uint64(1) << np.uint64(at & 63)


@njit
def _take(path, matches, m):
    """Advance to the end of a match: updates everything but distance and used words.

    Gain is the number of words, both sides; unless exact, half of each side's number, rounded down.
    """
    if matches[m, 4] == 0:
        path[RANK] -= (matches[m, 1] + matches[m, 3]) * GAIN
    else:
        path[RANK] -= (matches[m, 1] // 2 + matches[m, 3] // 2) * GAIN
    if path[LAST] != -1 and path[LAST] != matches[m, 2]:
        path[RANK] += 1
    path[LAST] = matches[m, 2] + matches[m, 3]
    path[NEXT] = matches[m, 0] + matches[m, 1]


@njit
def _before(rank, distance, paths, other):
    """Whether a path of this rank and distance is better than ``paths[other]``."""
    return rank < paths[other, RANK] or (rank == paths[other, RANK] and distance < paths[other, DISTANCE])


@njit
def _offer(path, best, order, count):
    """Keep a path if it is among the best BEAM; ``order[:count]`` lists the rows of ``best``.  Returns count."""
    rank, distance = path[RANK], path[DISTANCE]
    row = at = count
    if count == BEAM:
        at = BEAM - 1
        row = order[at]
        if not _before(rank, distance, best, row):
            return count
    while at > 0 and _before(rank, distance, best, order[at - 1]):
        order[at] = order[at - 1]
        at -= 1
    order[at] = row
    for field in range(FIELDS):
        best[row, field] = path[field]
    return min(count + 1, BEAM)


@njit
def _step(j, count, paths, best, order, used, matches, first, by_start, fixed):
    """Successors of ``paths[:count]`` at word ``j`` of the reference; returns how many of them `_offer` kept.

    Two rows of ``paths`` behind the beam are buffers for the parent, as it changes, and its successor.
    """
    parent, successor = paths[BEAM], paths[BEAM + 1]
    kept = 0
    for path in range(count):
        for field in range(FIELDS):
            parent[field] = paths[path, field]
        parent[PARENT], parent[MATCH] = path, NO_MATCH
        if (used[1, path, j >> 6] >> np.uint64(j & 63)) & np.uint64(1):
            if j >= parent[NEXT]:  # no match taken before reaches j, so a fixed one starts here
                m = fixed[j]
                _take(parent, matches, m)
                parent[DISTANCE] += abs(matches[m, 0] - matches[m, 2])
            kept = _offer(parent, best, order, kept)
            continue
        for at in range(first[j], first[j + 1]):
            m = by_start[at]
            if _free(used, path, matches, m):
                for field in range(FIELDS):
                    successor[field] = parent[field]
                successor[MATCH] = m
                _take(successor, matches, m)
                kept = _offer(successor, best, order, kept)
                parent[DISTANCE] += abs(matches[m, 0] - matches[m, 2])  # the parent's: later successors carry it
        parent[RANK] += parent[LAST] != -1
        parent[LAST] = -1
        parent[NEXT] += 1
        kept = _offer(parent, best, order, kept)
    return kept


@njit
def _advance(j, count, width, paths, best, order, used, after, matches, steps):
    """Make ``best`` the current paths, in order: their fields, their steps at ``j``, their used words (``after``)."""
    for path in range(count):
        row = order[path]
        parent, m = best[row, PARENT], best[row, MATCH]
        for field in range(FIELDS):
            paths[path, field] = best[row, field]
        steps[j, path, 0], steps[j, path, 1] = parent, m
        for side in range(2):
            for word in range(width):
                after[side, path, word] = used[side, parent, word]
        if m != NO_MATCH:
            _use(after, path, matches, m)


@njit
def _best(paths, count):
    """Index of the best path after the last word; an open chunk counts now."""
    best = 0
    for path in range(count):
        paths[path, RANK] += paths[path, LAST] != -1
        if _before(paths[path, RANK], paths[path, DISTANCE], paths, best):
            best = path
    return best


@njit
def align(pairs, starts, matches, offsets, first, by_start, cover, fixed, paths, best, order, used, steps, found):
    """Fill ``found`` with the chosen matches; returns their number.  ``first`` to ``steps`` are buffers."""
    count = 0
    for pair in range(len(pairs)):
        if offsets[pair] == offsets[pair + 1]:
            continue
        length1 = starts[pairs[pair, 0] + 1] - starts[pairs[pair, 0]]
        length2 = starts[pairs[pair, 1] + 1] - starts[pairs[pair, 1]]
        width = max(length1, length2) // 64 + 1
        _group(matches, offsets[pair], offsets[pair + 1], length2, first, by_start)
        _fix(matches, length1, length2, first, by_start, cover, fixed)
        for side in range(2):
            for word in range(width):
                used[0, side, 0, word] = 0
        for j in range(length2):
            if fixed[j] != NO_MATCH:
                _use(used[0], 0, matches, fixed[j])
        for field in range(FIELDS):
            paths[0, field] = 0
        paths[0, LAST] = -1
        kept = 1
        for j in range(length2):
            kept = _step(j, kept, paths, best, order, used[j & 1], matches, first, by_start, fixed)
            _advance(j, kept, width, paths, best, order, used[j & 1], used[1 - (j & 1)], matches, steps)
        path = _best(paths, kept)
        for j in range(length2 - 1, -1, -1):
            if fixed[j] == NO_MATCH:
                fixed[j] = steps[j, path, 1]
            path = steps[j, path, 0]
        for j in range(length2):
            if fixed[j] != NO_MATCH:
                found[count] = fixed[j]
                count += 1
    return count
