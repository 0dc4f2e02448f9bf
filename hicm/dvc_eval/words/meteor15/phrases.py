"""Finds the phrases of the paraphrase table in captions, by 64-bit hashes."""

import numpy as np

from hicm.dvc_eval.words.meteor15.compiled import FIND_PHRASES
from hicm.dvc_eval.words.meteor15.layout import LONGEST


def find_phrases(tokens: np.ndarray, starts: np.ndarray, hashes: np.ndarray, strings: np.ndarray,
                 buckets: np.ndarray, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The runs of words in each caption that are in the table, as phrase or as paraphrase.

    ``tokens`` (T,) int64: word numbers of all captions, caption c from starts[c] to starts[c + 1]; ``hashes`` (W,)
    uint64 of the words; ``strings`` (N,) uint64, ``buckets`` and ``begins`` are arrays of `build`: sorted hashes of the
    table, where each value of their first bits starts, and which values their beginnings have.  Returns spans (S, 3)
    int32: start, length, index in ``strings``, ordered by start and length, and their offsets (captions + 1,) int64.
    """
    spans = np.empty((len(tokens) * LONGEST, 3), dtype=np.int32)
    offsets = np.empty(len(starts), dtype=np.int64)
    count = FIND_PHRASES(tokens, starts, hashes, strings, buckets, begins, spans, offsets)
    return spans[:count].copy(), offsets
