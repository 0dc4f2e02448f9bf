"""What a summariser is given, and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Members:
    """What one node stands for: captions at level 1, above it the summaries of its children."""

    level: int
    node: int
    texts: tuple[str, ...]  # m, in tree order, duplicates kept
    embeddings: np.ndarray  # [m, D]
    sizes: np.ndarray | None = None  # [m] number of captions below each member; None: one each


@dataclass(frozen=True, eq=False)
class Summary:
    """A node's text, and how it came about."""

    text: str
    embedding: np.ndarray | None = None  # [D]; None: still to be encoded
    author: int | None = None  # the member quoted word for word; None: written from all of them
    fallback: str = ""  # why the medoid replaces a language model's answer
    cleaned: tuple[str, ...] = ()  # kinds of what was removed around a language model's answer


class Summariser(Protocol):
    """Writes the texts of nodes.  It sees one level at a time, so that a language model can work in batches."""

    @property
    def name(self) -> str:
        """What decides the texts: kind, model and revision, prompt, decoding."""

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        """One summary per node, in order.  All nodes are of one level and have at least two members."""
