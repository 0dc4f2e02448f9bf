"""Pictures that show a vector as grey blocks, as the video of ``hicm demo`` does.  For demonstrations and tests."""

import math
from collections.abc import Sequence

import numpy as np

from hicm.errors import UserError

FORM = "blocks:<width>"
SIDE = 32  # pixels of a block
MARGIN = 0.25  # share of a block at each side that is not read: compression blurs the edges


def image_encoder(rest: str, offline: bool) -> "BlocksEncoder":
    """Vectors of ``rest`` numbers."""
    return BlocksEncoder(rest)


class BlocksEncoder:
    """The vector that a picture shows, L2-normalised: see `draw`."""

    any_space = True  # the vectors are those of whatever encoder made them

    def __init__(self, width: str) -> None:
        if not width.isdecimal() or int(width) < 1:
            raise UserError(f"encoder: blocks:{width}: expected a width of 1 or more, e.g. blocks:64")
        self.width = int(width)
        self.name = f"blocks:{self.width}"

    def encode_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [len(images), D], every row of norm 1, or 0 for a picture of one grey."""
        rows = np.stack([self._read(image) for image in images])
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8)

    def _read(self, image: np.ndarray) -> np.ndarray:
        count = _per_side(self.width)
        grey = image.astype(np.float32).mean(axis=2)
        rows, columns = (_insides(length, count) for length in grey.shape)
        blocks = np.array([[grey[row, column].mean() for column in columns] for row in rows], np.float32)
        return blocks.ravel()[:self.width] / 127.5 - 1


def draw(vector: np.ndarray) -> np.ndarray:
    """A picture uint8 [height, width, 3] of ``vector`` [D], row by row: grey is 0, white its largest magnitude."""
    count = _per_side(len(vector))
    shown = np.zeros(count * count)
    shown[:len(vector)] = vector / max(float(np.abs(vector).max()), 1e-8)
    grey = np.round(127.5 + 127.5 * shown).astype(np.uint8).reshape(count, count)
    return np.repeat(np.kron(grey, np.ones((SIDE, SIDE), np.uint8))[..., None], 3, axis=2)


def _per_side(width: int) -> int:
    return math.ceil(math.sqrt(width))


def _insides(length: int, count: int) -> list[slice]:
    """The pixels of ``count`` blocks along a side, without their edges."""
    size = length / count
    return [slice(int((place + MARGIN) * size), max(int((place + 1 - MARGIN) * size), int((place + MARGIN) * size) + 1))
            for place in range(count)]
