"""Every word embedded on its own, by an encoder of hicm."""

import re
from collections.abc import Sequence

import numpy as np

from hicm.encoders import make_encoder
from hicm.systems.moments.words import Sentence

FORM = "each:<encoder>"

_WORD = re.compile(r"\w+|[^\w\s]")


def words(rest: str, offline: bool) -> "EachWord":
    """Words and punctuation marks, embedded by the encoder ``rest``."""
    return EachWord(rest, offline)


def tokens(text: str) -> tuple[str, ...]:
    """Words and single punctuation marks; one empty word where there is none."""
    return tuple(_WORD.findall(text)) or ("",)


class EachWord:
    """Vectors of lower-cased words; an empty sentence is one empty word."""

    ends, splitting = False, "each"

    def __init__(self, spec: str, offline: bool) -> None:
        self._encoder = make_encoder(spec, offline)
        self.name = f"each:{self._encoder.name}"

    @property
    def width(self) -> int:
        return self._encoder.width

    def split(self, text: str) -> Sentence:
        """Words and single punctuation marks."""
        shown = tokens(text)
        return Sentence(tuple(word.lower() for word in shown), shown)

    def vectors(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """float32 [L, E] for each sentence."""
        sentences = [self.split(text).words[:most] for text in texts]
        known = {word: place for place, word in enumerate(sorted({word for one in sentences for word in one}))}
        table = self._encoder.encode(list(known))
        return [table[[known[word] for word in one]] for one in sentences]
