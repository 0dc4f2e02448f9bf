"""Embeddings computed elsewhere, looked up by their text."""

from collections.abc import Sequence

import numpy as np

from hicm.arrays import read_npz
from hicm.encoders.model_files import identify
from hicm.errors import UserError
from hicm.files import require

FORM = "array:<npz>"


def text_encoder(rest: str, offline: bool) -> "ArrayEncoder":
    """The embeddings in the file ``rest``."""
    return ArrayEncoder(rest)


class ArrayEncoder:
    """An npz file with ``sentences`` str [N] and ``embeddings`` float [N, D].

    Spaces around a sentence are ignored; of a sentence that is listed twice, the first embedding counts.
    """

    def __init__(self, path: str) -> None:
        self.path = require(path, "file of sentence embeddings", "correct memory.encoder")
        try:
            arrays = read_npz(self.path)
            sentences, embeddings = arrays["sentences"], arrays["embeddings"]
        except Exception as error:  # a damaged file can raise nearly anything
            raise UserError(f"{path}: expected an .npz file with sentences (text, [N]) and embeddings ([N, D]); "
                            f"{error}") from error
        if sentences.ndim != 1 or sentences.dtype.kind != "U" or embeddings.ndim != 2 \
                or embeddings.dtype.kind != "f" or len(sentences) != len(embeddings):
            raise UserError(f"{path}: expected sentences [N] as text and embeddings [N, D] as floats, found "
                            f"{list(sentences.shape)} of {sentences.dtype} and {list(embeddings.shape)} of "
                            f"{embeddings.dtype}")
        self.name = f"array:{identify(path)}"
        self._embeddings = embeddings.astype(np.float32)
        self._rows: dict[str, int] = {}
        for row, sentence in enumerate(sentences.tolist()):
            self._rows.setdefault(sentence.strip(), row)

    @property
    def width(self) -> int:
        return self._embeddings.shape[1]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), D].  Raises UserError naming the first text that is not in the file."""
        for text in texts:
            if text.strip() not in self._rows:
                raise UserError(f"{self.path}: no embedding for {text!r}; add one for exactly this text")
        return self._embeddings[[self._rows[text.strip()] for text in texts]]
