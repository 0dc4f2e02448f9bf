"""Who writes a node's text.  A summariser sees one level at a time, so that a language model can work in batches."""

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


@dataclass(frozen=True, eq=False)
class Summary:
    """A node's text; ``embedding`` [D] None: to be encoded; ``author``: the member quoted word for word, or None."""

    text: str
    embedding: np.ndarray | None = None
    author: int | None = None


class Summariser(Protocol):
    name: str  # what decides the texts: kind, model and revision, prompt, decoding

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        """One summary a node, in order.  All nodes belong to one level and have two members or more."""


class Medoid:
    """The member whose embedding is closest in cosine to the mean of all members'; the first one on ties.

    Needs no model, invents nothing, and says whose caption it is.
    """

    name = "medoid"

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        return [_medoid(node) for node in nodes]


def _medoid(node: Members) -> Summary:
    embeddings = node.embeddings.astype(np.float64)
    norms = np.maximum(np.linalg.norm(embeddings, axis=1), 1e-12)
    cosines = embeddings @ embeddings.mean(axis=0) / norms
    author = node.texts.index(node.texts[int(np.argmax(cosines))])  # of equal captions the first, whatever the rounding
    return Summary(node.texts[author], node.embeddings[author], author)


def make_summariser(name: str) -> Summariser:
    """The summariser of ``memory.summariser``."""
    return {"medoid": Medoid}[name]()
