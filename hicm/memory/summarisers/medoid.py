"""The most central member stands for the node."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hicm.config import SummaryConfig
from hicm.memory.summarisers.node import Members, Summary

FORM = "medoid"
TIE = 1e-6  # relative to the highest: float32 embeddings of length 1 have it only approximately


def summariser(rest: str, settings: SummaryConfig, folder: Path, offline: bool) -> "Medoid":
    """Needs no settings."""
    return Medoid()


class Medoid:
    """The member whose embedding is closest in cosine to the mean of all members; the first one on ties.

    Needs no model, invents nothing, and knows whose caption it is.
    """

    name = "medoid"

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        return [medoid(node) for node in nodes]


def medoid(node: Members) -> Summary:
    """A node's most central member, word for word."""
    author = node.texts.index(node.texts[most_central(node.embeddings)])  # the first of equal captions
    return Summary(node.texts[author], node.embeddings[author], author)


def most_central(embeddings: np.ndarray) -> int:
    """The row of [m, D] that is closest in cosine to the mean of all rows; the first one on ties.

    Two rows of equal length are equally far from their mean: without a margin, rounding would decide, and differently
    on different machines.
    """
    central = centrality(embeddings)
    return int(np.argmax(central >= central.max() - TIE * np.abs(central).max()))


def centrality(embeddings: np.ndarray) -> np.ndarray:
    """Cosine of each row to the mean of all rows, up to a common factor, float64 [m]."""
    embeddings = embeddings.astype(np.float64)
    norms = np.maximum(np.linalg.norm(embeddings, axis=1), 1e-12)
    return embeddings @ embeddings.mean(axis=0) / norms
