"""Vectors of single words from a pickle: the ``glove.pkl`` of CPL (Zheng et al., CVPR 2022), which MESM reads for
Charades-STA.

A dict with ``w2id`` {word: number}, ``id2vec`` (a vector for each number) and ``counter`` {word: count}; the last is
read by ``moments.counts`` alone.  Nothing in the file is run (`hicm.pickles`).
"""

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.files import read_pickle, require, sha256
from hicm.systems.moments.words import Sentence
from hicm.systems.moments.words.glove import tokens as split_tokens

FORM = "glove_pickle:<pickle>"
EXPECTED = "expected a dict with w2id {word: number} and id2vec, a vector of finite numbers for each number"


def words(rest: str, offline: bool) -> "PickledWords":
    """The vectors in the file ``rest``."""
    return PickledWords(rest)


class PickledWords:
    """Vectors of lower-cased words.  Words that the file lacks are dropped, as in the published code.

    Where that leaves none, a sentence is one empty word whose vector is zero; the published code fails.
    """

    ends, splitting = False, "glove"

    def __init__(self, path: str) -> None:
        self.path = require(path, "pickle of word vectors", "correct moments.words")
        self.name = f"glove_pickle:{sha256(self.path)[:12]}"

    @property
    def width(self) -> int:
        return self._table[1].shape[1]

    def split(self, text: str) -> Sentence:
        """The tokens of a sentence that have vectors, in lower case."""
        rows, shown = self._table[0], split_tokens(text)
        kept = tuple(place for place, word in enumerate(shown) if word.lower() in rows)
        return Sentence(tuple(shown[place].lower() for place in kept) or ("",), shown, kept)

    def vectors(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """float32 [L, E] for each sentence.  Warns of sentences without any known word."""
        rows, table = self._table
        found = [self.split(text).first(most) for text in texts]
        blank = [text for text, one in zip(texts, found, strict=True) if not one.kept]
        if blank:
            warnings.warn(f"{self.path}: knows no word of {len(blank)} sentences (the first: {blank[0]!r:.80}), which "
                          "are read as one word whose vector is zero", stacklevel=2)
        return [table[[rows.get(word, len(rows)) for word in one.words]] for one in found]

    @cached_property
    def _table(self) -> tuple[dict[str, int], np.ndarray]:
        """Rows by word, and the vectors, a last row of zeros for sentences without words."""
        content = read_pickle(self.path, "word vectors")
        numbers, vectors = (content.get(key) if isinstance(content, dict) else None for key in ("w2id", "id2vec"))
        table = _as_table(vectors)
        if table is None or not isinstance(numbers, dict) or not numbers:
            raise UserError(f"{self.path}: {EXPECTED}; is it the glove.pkl of CPL?")
        for word, number in numbers.items():
            if not isinstance(word, str) or not isinstance(number, int | np.integer) or not 0 <= number < len(table):
                raise UserError(f"{self.path}: w2id: word {word!r:.40}: number {number!r:.40}, expected one from 0 to "
                                f"{len(table) - 1}, of the vectors in id2vec")
        own = table[list(numbers.values())]
        return {word: row for row, word in enumerate(numbers)}, np.concatenate([own, np.zeros_like(own[:1])])


def _as_table(vectors: Any) -> np.ndarray | None:
    """float32 [N, E] of a matrix or a list of vectors; None if it is neither."""
    try:
        table = np.array(vectors, np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    return table if table.ndim == 2 and table.size and np.isfinite(table).all() else None
