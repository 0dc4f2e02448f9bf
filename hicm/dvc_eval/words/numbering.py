"""Numbers for words, so that captions are compared as arrays."""

from collections.abc import Sequence
from itertools import chain

import numpy as np


class Numbering(dict[str, int]):
    """The words seen so far, numbered from 0 in order of first appearance.

    >>> Numbering().number([["stir", "the", "pot"], [], ["stir"]], 4).tolist()
    [0, 1, 2, 0]
    """

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def number(self, lists: Sequence[Sequence[str]], words: int) -> np.ndarray:
        """The numbers (words,) int64 of all words in some lists, one list after the other."""
        return np.fromiter(map(self.__getitem__, chain.from_iterable(lists)), np.int64, words)
