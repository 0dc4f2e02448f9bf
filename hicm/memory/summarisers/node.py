"""What a summariser is given and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Members:
    """What one node stands for: at level 1 captions, above the summaries of its children."""

    level: int
    node: int
    texts: tuple[str, ...]  # m, in tree order, duplicates kept
    embeddings: np.ndarray  # [m, D]
    sizes: np.ndarray | None = None  # [m] captions below each member; None: one each


@dataclass(frozen=True, eq=False)
class Summary:
    """A node's text, and how it came about."""

    text: str
    embedding: np.ndarray | None = None  # [D]; None: to be encoded
    author: int | None = None  # the member quoted word for word; None: written from all of them
    fallback: str = ""  # why a language model's answer was not taken and the medoid stands in


class Summariser(Protocol):
    """Writes the nodes' texts.  It sees one level at a time, so that a language model can work in batches."""

    name: str  # what decides the texts: kind, model and revision, prompt, decoding

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        """One summary a node, in order.  All nodes belong to one level and have two members or more."""
