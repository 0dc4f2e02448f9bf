"""How sentences become word vectors, each way in a module of its own that is found by its name (`hicm.plugins`).

``moments.words`` chooses one as ``kind:rest``; the kind is the module's name:

    clip:<model>/<pretrained>   token states of CLIP's text tower (ViT-B-32/openai), or clip:local-dir:<folder>
    hf:<name or folder>         token states of a text encoder of transformers (BERT, RoBERTa and the like)
    glove:<text file>           vectors of single words, one word a line; needs the package nltk
    glove_pickle:<pickle>       vectors of single words, from the glove.pkl of CPL; other words are dropped
    each:<encoder>              every word embedded on its own by an encoder of hicm.encoders, as each:hashing:256

Each module has ``FORM`` (how it is written) and ``words(rest, offline)``, a `Words`.  One that splits sentences in its
own way has ``tokens(text)``: all words of a sentence as they stand there.  The module's name is then what that way of
splitting is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hicm.plugins import find_written

GROUP = "hicm.moments_words"
FUNCTION = "words"


@dataclass(frozen=True)
class Sentence:
    """The words of a sentence that have vectors, without marks of its ends."""

    words: tuple[str, ...]  # what classes of words are made of
    shown: tuple[str, ...]  # all words as they stand in the sentence, for their parts of speech
    # the places of ``words`` among ``shown``, None: all are kept; empty: an empty word stands for the sentence
    kept: tuple[int, ...] | None = None

    @property
    def places(self) -> tuple[int, ...]:
        """Of each word the place in ``shown``."""
        return tuple(range(len(self.words))) if self.kept is None else self.kept or (0,)

    @property
    def dropped(self) -> tuple[str, ...]:
        """The words of a whole sentence that have no vectors, as they stand there."""
        kept = range(len(self.shown)) if self.kept is None else self.kept
        return tuple(word for place, word in enumerate(self.shown) if place not in kept)

    def first(self, most: int) -> "Sentence":
        """The same sentence with at most ``most`` words."""
        return Sentence(self.words[:most], self.shown, None if self.kept is None else self.kept[:most])


class Words(Protocol):
    """Sentences in, word vectors out.  Models are loaded at first use, not at construction."""

    name: str  # with a hash of what is read from disk: equal names, equal vectors
    ends: bool  # whether a mark stands before and after the words, which also has a vector
    splitting: str  # the module whose ``tokens`` split the sentences

    @property
    def width(self) -> int:
        """E."""

    def split(self, text: str) -> Sentence:
        """The words of a sentence, however many."""

    def vectors(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """float32 [L, E] for each sentence: the first ``most`` words, marks included, L >= 1."""


def make_words(spec: str, offline: bool = False) -> Words:
    """The words of a specification ``kind:rest`` (see above).  ``offline``: never contact the hub.

    Raises UserError when the kind is unknown, or when what it names is missing or unreadable.
    """
    module, rest = find_written(spec, __name__, GROUP, FUNCTION, f"moments.words: {spec!r} makes no word vectors")
    return module.words(rest, offline)
