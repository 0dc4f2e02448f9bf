"""Encoders without a model: similar words, or similar colours, give similar vectors.  For demonstrations and tests.

Texts and images do not share a space.
"""

import functools
import itertools
import re
import zlib
from collections.abc import Sequence

import numpy as np

from hicm.errors import UserError

FORM = "hashing:<width>"

GRID = 8  # cells per side of an image

_WORD = re.compile(r"[^\W_]+")


def text_encoder(rest: str, offline: bool) -> "HashingEncoder":
    """Vectors of ``rest`` numbers."""
    return HashingEncoder(rest)


def image_encoder(rest: str, offline: bool) -> "HashingEncoder":
    """Vectors of ``rest`` numbers."""
    return HashingEncoder(rest)


class HashingEncoder:
    """Sum of one fixed pseudo-random sign vector per word and per pair of adjacent words, L2-normalised.

    Words are lower-cased; punctuation is ignored.  A text without words gets the vector of the text as a whole.
    """

    images_like_texts = False  # of what is alike among images, nothing is said about texts

    def __init__(self, width: str) -> None:
        if not width.isdecimal() or int(width) < 1:
            raise UserError(f"memory.encoder: hashing:{width}: expected a width of 1 or more, e.g. hashing:256")
        self.width = int(width)
        self.name = f"hashing:{self.width}"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), D], every row of norm 1."""
        out = np.zeros((len(texts), self.width), np.float32)
        for row, text in enumerate(texts):
            out[row] = sum(_signs(term, self.width).astype(np.float32) for term in _terms(text))
            if not out[row].any():  # terms can cancel in a narrow space
                out[row] = _signs(text, self.width)
        return out / np.linalg.norm(out, axis=1, keepdims=True) if len(out) else out

    def encode_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [len(images), D], every row of norm 1: mean colours of a grid, hashed to random directions."""
        cells = np.stack([_mean_colours(image) for image in images])
        signs = np.stack([_signs(f"cell {cell}", self.width) for cell in range(cells.shape[1])]).astype(np.float32)
        out = cells @ signs
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-8)


def _mean_colours(image: np.ndarray) -> np.ndarray:
    """Float32 [GRID * GRID * 3] in 0 .. 1, of an image uint8 [height, width, 3] of at least GRID pixels a side."""
    rows, columns = (np.linspace(0, side, GRID, endpoint=False).astype(int) for side in image.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float32), rows, axis=0), columns, axis=1)
    heights, widths = np.diff([*rows, image.shape[0]]), np.diff([*columns, image.shape[1]])
    return (sums / (255 * heights[:, None, None] * widths[:, None])).ravel()


def _terms(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return [*words, *map(" ".join, itertools.pairwise(words))] or [text]


@functools.lru_cache(maxsize=1 << 16)
def _signs(term: str, width: int) -> np.ndarray:
    """int8 [width] of -1 and 1, fixed by the term."""
    generator = np.random.default_rng([zlib.crc32(term.encode()), len(term)])
    return (2 * generator.integers(0, 2, width, dtype=np.int8) - 1).astype(np.int8)
