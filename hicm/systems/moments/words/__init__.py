"""How sentences become word vectors, each way in a module of its own that is found by its name (`hicm.plugins`).

``moments.words`` chooses one as ``kind:rest``; the kind is the module's name:

    clip:<model>/<pretrained>   token states of CLIP's text tower (ViT-B-32/openai), or clip:local-dir:<folder>
    hf:<name or folder>         token states of a text encoder of transformers (BERT, RoBERTa and the like)
    glove:<text file>           vectors of single words, one word a line; needs the package nltk
    each:<encoder>              every word embedded on its own by an encoder of hicm.encoders, as each:hashing:256

Each module has ``FORM`` (how it is written) and ``words(rest, offline)``, a `Words`.
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
    """The words of a sentence, without marks of its ends."""

    words: tuple[str, ...]  # what classes of words are made of
    shown: tuple[str, ...]  # as they stand in the sentence, for their parts of speech


class Words(Protocol):
    """Sentences in, word vectors out.  Models are loaded at first use, not at construction."""

    name: str  # with a hash of what is read from disk: equal names, equal vectors
    ends: bool  # whether a mark stands before and after the words, which also has a vector

    @property
    def width(self) -> int:
        """E."""

    def split(self, text: str) -> Sentence:
        """The words of a sentence, all of them."""

    def vectors(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """float32 [L, E] for each sentence: the first ``most`` words, marks included, L >= 1."""


def make_words(spec: str, offline: bool = False) -> Words:
    """The words of a specification ``kind:rest`` (see above).  ``offline``: never contact the hub.

    Raises UserError when the kind is unknown, or when what it names is missing or unreadable.
    """
    module, rest = find_written(spec, __name__, GROUP, FUNCTION, f"moments.words: {spec!r} makes no word vectors")
    return module.words(rest, offline)
