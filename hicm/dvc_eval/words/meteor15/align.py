"""Chooses among the possible matches."""

import numpy as np

from hicm.dvc_eval.words.meteor15.compiled import ALIGN
from hicm.dvc_eval.words.meteor15.layout import BEAM, FIELDS


def align(pairs: np.ndarray, starts: np.ndarray, matches: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The chosen matches of each pair.

    ``pairs`` (P, 2) int64: candidate and reference, as indices of captions in ``starts``; ``matches`` and ``offsets``
    are those of `match.find_matches`.  Returns indices (K,) int64 into ``matches``, ordered by pair and start2.
    """
    longest = int(np.diff(starts).max(initial=0))
    most = int(np.diff(offsets).max(initial=0))

    def buffer(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.int64)

    found = buffer(len(matches))
    used = np.zeros((2, 2, BEAM, longest // 64 + 1), dtype=np.uint64)  # one bit per word, for each side
    count = ALIGN(pairs, starts, matches, offsets, buffer(longest + 2), buffer(most), buffer(2, longest),
                  buffer(longest), buffer(BEAM + 2, FIELDS), buffer(BEAM, FIELDS), buffer(BEAM), used,
                  buffer(longest, BEAM, 2), found)
    return found[:count]
