"""Vectors of single words from a text file: GloVe (Pennington et al., EMNLP 2014), split as NLTK does."""

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.files import require, sha256
from hicm.systems.moments.words import Sentence

FORM = "glove:<text file>"


def words(rest: str, offline: bool) -> "GloveWords":
    """The vectors in the file ``rest``."""
    return GloveWords(rest)


def tokens(text: str) -> tuple[str, ...]:
    """Tokens of the Penn Treebank, as in NLTK's word_tokenize for one sentence; one empty token where there is none.

    Raises UserError when the package nltk is missing.
    """
    return tuple(_tokenizer().tokenize(text)) or ("",)


@cache
def _tokenizer() -> Any:
    try:
        from nltk.tokenize import NLTKWordTokenizer
    except ImportError as error:
        raise UserError("moments.words: glove splits sentences by the package nltk; pip install "
                        "'hicm[glove]'") from error
    return NLTKWordTokenizer()


class GloveWords:
    """Vectors of lower-cased words.

    Words that the file lacks share one vector, the mean of all others: MESM's is random, and another one at test time.
    """

    ends, splitting = False, "glove"

    def __init__(self, path: str) -> None:
        self.path = require(path, "file of word vectors", "correct moments.words")
        self.name = f"glove:{sha256(self.path)[:12]}"

    @property
    def width(self) -> int:
        return self._table[1].shape[1]

    def split(self, text: str) -> Sentence:
        """The `tokens` of a sentence, in lower case."""
        shown = tokens(text)
        return Sentence(tuple(word.lower() for word in shown), shown)

    def vectors(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """float32 [L, E] for each sentence."""
        rows, table = self._table
        return [table[[rows.get(word, len(rows)) for word in self.split(text).words[:most]]] for text in texts]

    @cached_property
    def _table(self) -> tuple[dict[str, int], np.ndarray]:
        """Rows by word, and the vectors, that of unknown words last."""
        rows: dict[str, int] = {}
        found: list[np.ndarray] = []
        with self.path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                word, *numbers = line.rstrip("\n").split(" ")
                try:
                    vector = np.array(numbers, np.float32)
                except ValueError:
                    vector = np.zeros(0, np.float32)
                if not vector.size or not np.isfinite(vector).all() or (found and len(vector) != len(found[0])):
                    raise UserError(f"{self.path}: line {number}: expected a word and as many numbers as in the first "
                                    "line")
                if word not in rows:
                    rows[word] = len(rows)
                    found.append(vector)
        if not found:
            raise UserError(f"{self.path}: holds no word vectors")
        mean = np.mean(found, 0, dtype=np.float64).astype(np.float32)
        return rows, np.stack([*found, mean])
