"""Token states of a CLIP model's text tower, through open_clip."""

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from hicm.encoders.openclip import OpenClipEncoder
from hicm.systems.moments.words import Sentence

FORM = "clip:<model>/<pretrained>"
WORD_END = "</w>"


def words(rest: str, offline: bool) -> "ClipWords":
    """The text tower of the model ``rest``, as in ``openclip:`` of hicm.encoders."""
    return ClipWords(rest, offline)


@cache
def _tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def split_pieces(text: str) -> list[tuple[int, str]]:
    """OpenAI's byte pairs of a sentence: number and text of each piece."""
    tokenizer = _tokenizer()
    return [(number, tokenizer.decoder[number]) for number in tokenizer.encode(text)]


def tokens(text: str) -> tuple[str, ...]:
    """The pieces of a sentence, without the marks of where words end."""
    return _plain(split_pieces(text))


def _plain(pieces: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(piece.removesuffix(WORD_END) for _, piece in pieces)


def piece_of(number: int) -> str | None:
    """The piece with this number; None: there is none."""
    piece: str | None = _tokenizer().decoder.get(number)
    return piece


class ClipWords:
    """The states after the last norm, before the projection; of the text as CLIP reads it, between two marks."""

    ends, splitting = True, "clip"

    def __init__(self, rest: str, offline: bool) -> None:
        self._encoder = OpenClipEncoder(rest, offline)
        self.name = f"clip:{self._encoder.name}"

    @cached_property
    def width(self) -> int:
        return self.vectors([""], 2)[0].shape[1]

    def split(self, text: str) -> Sentence:
        """Pieces of words."""
        pieces = split_pieces(text)
        return Sentence(tuple(piece for _, piece in pieces), _plain(pieces))

    def vectors(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """float32 [L, E] for each sentence."""
        return self._encoder.token_states(texts, most)
