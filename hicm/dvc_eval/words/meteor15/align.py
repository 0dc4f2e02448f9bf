"""Which of the possible matches METEOR chooses."""

import numpy as np

from hicm.dvc_eval.words.meteor15.compiled import ALIGN
from hicm.dvc_eval.words.meteor15.layout import BEAM, FIELDS


def align(pairs: np.ndarray, starts: np.ndarray, matches: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The chosen matches of each pair.

    ``pairs`` (P, 2) int64 candidate and reference, as captions that span ``starts``; ``matches`` and ``offsets`` as
    `match.find_matches` gives them.  Returns indices (K,) int64 into ``matches``, ordered by pair and start2.
    """
    longest = int(np.diff(starts).max(initial=0))
    most = int(np.diff(offsets).max(initial=0))

    def room(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.int64)

    found = room(len(matches))
    used = np.zeros((2, 2, BEAM, longest // 64 + 1), dtype=np.uint64)  # a bit a word, for each side
    count = ALIGN(pairs, starts, matches, offsets, room(longest + 2), room(most), room(2, longest), room(longest),
                  room(BEAM + 2, FIELDS), room(BEAM, FIELDS), room(BEAM), used, room(longest, BEAM, 2), found)
    return found[:count]
