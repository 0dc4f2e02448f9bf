"""The mean of a node's captions: an embedding that belongs to no sentence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hicm.config import SummaryConfig
from hicm.memory.summarisers.medoid import medoid
from hicm.memory.summarisers.node import Members, Summary

FORM = "centroid"


def summariser(rest: str, settings: SummaryConfig, folder: Path, offline: bool) -> "Centroid":
    """Needs no settings."""
    return Centroid()


class Centroid:
    """Embedding: the mean of all captions below the node.  Text: that of the medoid, for people to read.

    What is recalled is the embedding, which was made from all captions, so the node has no author.
    """

    name = "centroid"

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        return [Summary(medoid(node).text, np.average(node.embeddings, axis=0, weights=node.sizes)) for node in nodes]
