"""The classes of masked words: the most frequent words of the training sentences."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hicm.errors import UserError
from hicm.files import read_json, write_json


@dataclass(frozen=True)
class Vocabulary:
    """Classes 0, 1, ... are the ``words``; then follow all other words and, with ``ends``, the marks of a sentence."""

    words: tuple[str, ...]
    ends: bool

    @property
    def unknown(self) -> int:
        """The class of all other words."""
        return len(self.words)

    def __len__(self) -> int:
        return len(self.words) + (3 if self.ends else 1)

    def encode(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The classes of a sentence's words, int64 [L], with those of its marks, and which are unknown, bool [L]."""
        found = [self._classes.get(word, self.unknown) for word in words]
        if self.ends:
            found = [self.unknown + 1, *found, self.unknown + 2]
        labels = np.array(found, np.int64)
        return labels, labels == self.unknown

    @cached_property
    def _classes(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    def save(self, path: Path) -> None:
        """Write the words as json."""
        write_json(path, {"words": list(self.words), "ends": self.ends})


def build_vocabulary(sentences: Iterable[Sequence[str]], most: int, ends: bool) -> Vocabulary:
    """The ``most`` frequent words; of equally frequent ones those that come first in the alphabet.

    >>> build_vocabulary([["a", "dog"], ["the", "dog"]], 2, ends=False).words
    ('dog', 'a')
    """
    counts = Counter(word for words in sentences for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return Vocabulary(tuple(ranked[:most]), ends)


def listed_vocabulary(listed: Sequence[str], sentences: Iterable[Sequence[str]], most: int, ends: bool,
                      where: str) -> Vocabulary:
    """The first ``most`` of the words that a file lists.

    Raises UserError, starting with ``where``, when the sentences have none of them.
    """
    classes = tuple(listed[:most])
    if all(map(set(classes).isdisjoint, sentences)):
        raise UserError(f"{where}: none of its first {len(classes)} words is in a training sentence; was it made from "
                        "other annotations?")
    return Vocabulary(classes, ends)


def load_vocabulary(path: Path) -> Vocabulary:
    """The words that `Vocabulary.save` wrote.  Raises UserError for another file."""
    content = read_json(path, "vocabulary")
    words = content.get("words") if isinstance(content, dict) else None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words) \
            or not isinstance(content.get("ends"), bool) or len(set(words)) < len(words):
        raise UserError(f"{path}: expected the words that were saved with the model, each once; put its file back")
    return Vocabulary(tuple(words), content["ends"])
