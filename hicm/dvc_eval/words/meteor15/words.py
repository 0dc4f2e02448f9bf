"""The words of captions as numbers, each looked up once: keys, stem, synsets, function words."""

from dataclasses import dataclass
from itertools import chain

import numpy as np

from hicm.dvc_eval.inputs.arrays import expand
from hicm.dvc_eval.words.meteor15.layout import FNV_PRIME, FNV_START
from hicm.dvc_eval.words.meteor15.stem import stem
from hicm.dvc_eval.words.meteor15.synonyms import synset_set
from hicm.dvc_eval.words.numbering import Numbering


def word_key(word: str) -> int:
    """METEOR's 32-bit key: METEOR treats two words as equal if their keys are.

    >>> word_key("all") == word_key("an.")
    True
    """
    key = 0
    for unit in np.frombuffer(word.encode("utf-16-le", "surrogatepass"), dtype="<u2").tolist():
        key = (31 * key + unit) & 0xFFFFFFFF
    return key


def word_hash(word: str) -> int:
    """FNV-1a (64 bit) of the UTF-8 bytes, used to look up phrases (`phrases`)."""
    value = FNV_START
    for byte in word.encode("utf-8", "surrogatepass"):
        value = ((value ^ byte) * FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


@dataclass(frozen=True)
class WordArrays:
    """What the loops need about W words; the arrays are described in `build`."""

    key: np.ndarray
    stem_key: np.ndarray
    hash: np.ndarray
    function: np.ndarray
    synsets: np.ndarray
    synset_offsets: np.ndarray


class Words(Numbering):
    """All words seen so far, numbered in order of appearance."""

    def __init__(self, index: dict[str, np.ndarray]) -> None:
        self._index = index
        known = index["words"].tobytes().decode().split("\n")
        self._known = dict(zip(known, range(len(known)), strict=True))
        self._places: list[int] = []  # of every word in the index; -1 for the others, whose rows and synsets follow
        self._rows: list[tuple[int, int, int]] = []
        self._synsets: list[list[int]] = []

    def __missing__(self, word: str) -> int:
        place = self._known.get(word, -1)
        self._places.append(place)
        if place < 0:  # then it is not a function word, nor an inflected form in the list of exceptions
            self._rows.append((word_key(word), word_key(stem(word)), word_hash(word)))
            self._synsets.append(sorted(synset_set(word, self._own, {})))
        return super().__missing__(word)

    def arrays(self) -> WordArrays:
        """The arrays of all words so far."""
        index, place = self._index, np.array(self._places, dtype=np.int64)
        other = place < 0
        found = {name: index[name][place] for name in ("key", "stem_key", "hash", "function")}
        if self._rows:
            for name, values in zip(("key", "stem_key", "hash"), zip(*self._rows, strict=True), strict=True):
                found[name][other] = values
        found["function"][other] = False
        first = index["synset_offsets"][place].astype(np.int64)
        sizes = index["synset_offsets"][place + 1] - first
        sizes[other] = [len(synsets) for synsets in self._synsets]
        first[other] = len(index["synsets"]) + np.cumsum(sizes[other]) - sizes[other]
        synsets = np.concatenate([index["synsets"], np.fromiter(chain.from_iterable(self._synsets), np.int32)])
        return WordArrays(**found, synsets=synsets[expand(first, sizes)[1]],
                          synset_offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]))

    def _own(self, word: str) -> list[int]:
        """The synsets that METEOR's file lists for a word."""
        at = self._known.get(word)
        return [] if at is None else self._index["own"][slice(*self._index["own_offsets"][at:at + 2])].tolist()
