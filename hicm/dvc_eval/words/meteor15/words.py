"""The words of captions as numbers, each looked up once: keys, stem, synsets, function words."""

from dataclasses import dataclass

import numpy as np

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
        self._rows: list[tuple[int, int, int, bool]] = []
        self._synsets: list[np.ndarray] = []

    def __missing__(self, word: str) -> int:
        self._add(word)
        return super().__missing__(word)

    def arrays(self) -> WordArrays:
        """The arrays of all words so far."""
        key, stem_key, hashes, function = zip(*self._rows, strict=True) if self._rows else ((), (), (), ())
        return WordArrays(
            key=np.array(key, dtype=np.uint32), stem_key=np.array(stem_key, dtype=np.uint32),
            hash=np.array(hashes, dtype=np.uint64), function=np.array(function, dtype=np.bool_),
            synsets=np.concatenate([*self._synsets, np.zeros(0, dtype=np.int32)]),
            synset_offsets=np.cumsum([0, *map(len, self._synsets)]),
        )

    def _add(self, word: str) -> None:
        at = self._known.get(word)
        if at is None:  # then it is not a function word, nor an inflected form in the list of exceptions
            self._rows.append((word_key(word), word_key(stem(word)), word_hash(word), False))
            self._synsets.append(np.array(sorted(synset_set(word, self._own, {})), dtype=np.int32))
            return
        key, stem_key, hashed = (int(self._index[name][at]) for name in ("key", "stem_key", "hash"))
        self._rows.append((key, stem_key, hashed, bool(self._index["function"][at])))
        first, end = self._index["synset_offsets"][at:at + 2]
        self._synsets.append(self._index["synsets"][first:end])

    def _own(self, word: str) -> list[int]:
        """The synsets that METEOR's file lists for a word."""
        at = self._known.get(word)
        return [] if at is None else self._index["own"][slice(*self._index["own_offsets"][at:at + 2])].tolist()
