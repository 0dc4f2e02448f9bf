"""Token states of a text encoder, through transformers."""

from collections.abc import Sequence

import numpy as np

from hicm.encoders.hf import HuggingFaceEncoder
from hicm.systems.moments.words import Sentence

FORM = "hf:<name or folder>"
CONTINUED, SPACES = "##", "\u0120\u2581"  # marks in pieces: of BERT, of byte pairs and of SentencePiece


def words(rest: str, offline: bool) -> "HuggingFaceWords":
    """The text encoder in the folder or hub repository ``rest``, as in ``hf:`` of hicm.encoders."""
    return HuggingFaceWords(rest, offline)


class HuggingFaceWords:
    """The last hidden states of the text as the model reads it, between two marks."""

    ends, splitting = True, "hf"

    def __init__(self, rest: str, offline: bool) -> None:
        self._encoder = HuggingFaceEncoder(rest, offline)
        self.name = self._encoder.name

    @property
    def width(self) -> int:
        return self._encoder.width

    def split(self, text: str) -> Sentence:
        """Pieces of words."""
        pieces = tuple(self._encoder.pieces(text))
        return Sentence(pieces, tuple(piece.removeprefix(CONTINUED).lstrip(SPACES) or piece for piece in pieces))

    def vectors(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """float32 [L, E] for each sentence."""
        return self._encoder.token_states(texts, most)
