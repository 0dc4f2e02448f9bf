"""From chosen matches to METEOR's 23 statistics, and from statistics to scores.

Statistics: length1 length2 function1 function2; content1 content2 function1 function2 of the words matched at each
stage; chunks; words matched on each side.  1 is the candidate, 2 the reference.
"""

import numpy as np

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.20, 0.60, 0.75
STAGE_WEIGHTS = (1.0, 0.6, 0.8, 0.6)  # exact, stem, synonym, paraphrase
STATISTICS = 23
CHUNKS, MATCHED_1, MATCHED_2 = 20, 21, 22  # columns


def statistics(pairs: np.ndarray, tokens: np.ndarray, starts: np.ndarray, function: np.ndarray, matches: np.ndarray,
               owner: np.ndarray) -> np.ndarray:
    """Statistics (P, 23) float64 of pairs (P, 2) of captions from their chosen matches (K, 5).

    Caption c is ``tokens[starts[c]:starts[c + 1]]``, word numbers; ``function`` (W,) bool by word number; ``owner``
    (K,): the pair of each match.  Matches are ordered by pair and start2.
    """
    found = np.zeros((len(pairs), STATISTICS))
    running = np.concatenate([[0], np.cumsum(function[tokens])])
    for side in (0, 1):
        first, end = starts[pairs[:, side]], starts[pairs[:, side] + 1]
        found[:, side] = end - first
        found[:, 2 + side] = running[end] - running[first]
        start, length = first[owner] + matches[:, 2 - 2 * side], matches[:, 3 - 2 * side]
        functions = running[start + length] - running[start]
        cell = owner * 4 + matches[:, 4]
        for column, words in ((4 + side, length - functions), (6 + side, functions)):
            found[:, column:20:4] = np.bincount(cell, weights=words, minlength=4 * len(pairs)).reshape(-1, 4)
        found[:, MATCHED_1 + side] = np.bincount(owner, weights=length, minlength=len(pairs))
    start2, length2, start1, length1 = matches.T[:4]
    opens = np.ones(len(matches), dtype=bool)
    opens[1:] = ((owner[1:] != owner[:-1]) | (start2[1:] != (start2 + length2)[:-1])
                 | (start1[1:] != (start1 + length1)[:-1]))
    found[:, CHUNKS] = np.bincount(owner, weights=opens, minlength=len(pairs))
    return found


def scores(statistics: np.ndarray) -> np.ndarray:
    """Scores (...) of statistics (..., 23), each of a pair or a sum over pairs.

    Operations are in METEOR's order.  If one chunk covers both sides, there is no penalty, even if it is not exact.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # an empty side or no match gives 0 in the end
        precision = _matched(statistics, 0) / _weight(statistics, 0)
        recall = _matched(statistics, 1) / _weight(statistics, 1)
        f = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
        fragmentation = statistics[..., CHUNKS] / ((statistics[..., MATCHED_1] + statistics[..., MATCHED_2]) / 2.0)
        found = f * (1.0 - GAMMA * np.where(whole(statistics), 0.0, fragmentation) ** BETA)
    return np.where(found > 0.0, found, 0.0)


def whole(statistics: np.ndarray) -> np.ndarray:
    """Mask (...): whether every word of both sides is matched, in one chunk."""
    both = [statistics[..., 4 + side:20:2].sum(axis=-1) == statistics[..., side] for side in (0, 1)]
    return both[0] & both[1] & (statistics[..., CHUNKS] == 1)


def _weight(statistics: np.ndarray, side: int) -> np.ndarray:
    length, function = statistics[..., side], statistics[..., 2 + side]
    return DELTA * (length - function) + (1.0 - DELTA) * function


def _matched(statistics: np.ndarray, side: int) -> np.ndarray:
    matched = np.zeros(statistics.shape[:-1])
    for first, share in ((4, DELTA), (6, 1.0 - DELTA)):
        for stage, weight in enumerate(STAGE_WEIGHTS):
            matched = matched + statistics[..., first + side + 4 * stage] * weight * share
    return matched
