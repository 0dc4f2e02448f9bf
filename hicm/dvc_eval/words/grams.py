"""N-gram counts of captions, counted once per distinct caption and shared by BLEU and CIDEr."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hicm.dvc_eval.inputs.arrays import count_distinct, expand, is_first, sort_stably
from hicm.dvc_eval.words.numbering import Numbering

ORDERS = 4  # n-grams of one to four tokens
ENTRIES = 1 << 18  # n-grams of captions that are compared at a time: bounds the memory


@dataclass(frozen=True)
class Grams:
    """The distinct n-grams of C captions in compressed rows: row c is ``offsets[c]:offsets[c + 1]``.

    ``gram`` (ids, ascending within a row; int32), ``count`` (occurrences in the caption; float64) and ``order`` (0 for
    single tokens; int8) are parallel (K,); ``length`` (C,) is the number of tokens.  An n-gram has the same id in every
    caption; ids are below ``size``.
    """

    offsets: np.ndarray
    gram: np.ndarray
    count: np.ndarray
    order: np.ndarray
    length: np.ndarray
    size: int

    def rows(self, captions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The entries of captions (P,), as ids: which of the P each belongs to, and its position."""
        return expand(self.offsets[captions], self.offsets[captions + 1] - self.offsets[captions])

    @cached_property
    def sizes(self) -> np.ndarray:
        """The number of entries of each caption, (C,)."""
        return np.diff(self.offsets)

    @cached_property
    def keys(self) -> np.ndarray:
        """Caption and n-gram of each entry as one ascending number, (K,)."""
        return np.repeat(np.arange(len(self.length)), np.diff(self.offsets)) * self.size + self.gram

    def counts_in(self, captions: np.ndarray, grams: np.ndarray) -> np.ndarray:
        """How often each of ``grams`` (N,) occurs in the caption (N,) beside it (-1: no caption), (N,) float64."""
        return lookup(self.keys, self.count, captions * np.int64(self.size) + grams)


def lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The ``values`` whose ``keys``, sorted and distinct, equal ``wanted``; 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted))
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0.0)


def count_grams(captions: Sequence[str]) -> Grams:
    """Count the n-grams of tokenised captions.  Tokens are split at any white space, including U+00A0.

    >>> grams = count_grams(["stir and stir", ""])
    >>> grams.length.tolist(), grams.order.tolist(), grams.count.tolist()
    ([3, 0], [0, 0, 1, 1, 2], [2.0, 1.0, 1.0, 1.0, 1.0])
    """
    words = Numbering()
    token, length = words.number(map(str.split, captions))
    owner = np.repeat(np.arange(len(length)), length)
    room = np.repeat(np.cumsum(length), length) - np.arange(len(token))  # tokens from here to the caption's end

    most = max(ORDERS * len(token), 1)  # n-grams; one of a caption, as one number, is caption * most + n-gram
    found, sizes, ids = [], [0], token.copy()
    for order in range(ORDERS):
        starts = np.flatnonzero(room > order)
        # An n-gram is an (n-1)-gram and the token after it.
        ordered, place = sort_stably(ids[starts] * len(words) + token[starts + order] if order else token)
        number = np.cumsum(is_first(ordered)) - 1
        ids[starts[place]] = number
        found.append(owner[starts] * most + (ids[starts] + sizes[-1]))
        sizes.append(sizes[-1] + int(number.max(initial=-1)) + 1)
    codes, count = count_distinct(np.concatenate(found))
    caption, gram = np.divmod(codes, most)
    offsets = np.searchsorted(caption, np.arange(len(length) + 1))
    order_of = np.repeat(np.arange(ORDERS, dtype=np.int8), np.diff(sizes))
    return Grams(offsets, gram.astype(np.int32), count.astype(float), order_of[gram], length, max(sizes[-1], 1))
