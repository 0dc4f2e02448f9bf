"""Numbers for words, so that captions are compared as arrays."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np


class Numbering(dict[str, int]):
    """The words seen so far, numbered from 0 in order of first appearance.

    >>> [part.tolist() for part in Numbering().number([["stir", "the", "pot"], [], ["stir"]])]
    [[0, 1, 2, 0], [3, 0, 1]]
    """

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def number(self, lists: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """The numbers (T,) int64 of all words in L lists, one list after the other, and the lengths (L,) of these.

        Lists are taken one by one: faster than from a list of them, as the words stay in the processor's cache.
        """
        lengths = []

        def each() -> Iterator[Sequence[str]]:
            for words in lists:
                lengths.append(len(words))
                yield words

        numbers = np.fromiter(map(self.__getitem__, chain.from_iterable(each())), np.int64)
        return numbers, np.array(lengths, dtype=np.int64)
