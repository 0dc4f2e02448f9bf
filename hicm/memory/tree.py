"""Captions to a tree: embed them and cluster the embeddings.

An interrupted build continues: embeddings and partitions are kept in the bank's folder until the bank is written.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.cached_arrays import cached_arrays
from hicm.config import MemoryConfig
from hicm.encoders import Encoder
from hicm.memory.bank import Leaves
from hicm.memory.captions import Captions
from hicm.memory.encoding import encode_texts
from hicm.memory.hierarchies import describe_hierarchy, partitions
from hicm.memory.summarisers.journal import key_of

EMBEDDINGS, PARTITIONS = "embeddings.npz", "partitions.npz"  # of an unfinished build


@dataclass(frozen=True, eq=False)
class Tree:
    """Captions with their place in the tree: a bank without summaries yet."""

    leaves: Leaves
    embeddings: np.ndarray  # float32 [N, D], those of the leaves
    labels: np.ndarray  # int64 [N, P], finest partition first
    agreement: float | None  # share of exact among approximate neighbours; None: all are exact


def build_tree(captions: Captions, encoder: Encoder, settings: MemoryConfig, folder: Path) -> Tree:
    """Embed and cluster the captions, or read from ``folder`` what an interrupted build has left there.

    Raises UserError when an embedding is zero or not finite, or when the hierarchy cannot take so many captions.
    """
    texts_key = key_of(encoder.name, captions.texts)
    encoded = cached_arrays(folder / EMBEDDINGS, texts_key,
                            lambda: {"embeddings": encode_texts(encoder, captions.texts)})
    embeddings = encoded["embeddings"]

    def clustered() -> dict[str, Any]:
        labels, agreement = partitions(embeddings, settings)
        return {"labels": labels, "agreement": np.float64(np.nan if agreement is None else agreement)}

    tree = cached_arrays(folder / PARTITIONS, key_of(texts_key, describe_hierarchy(settings)), clustered)
    agreement = float(tree["agreement"])
    return Tree(Leaves(captions.texts, embeddings, captions.videos, captions.sentences), embeddings, tree["labels"],
                None if np.isnan(agreement) else agreement)


def remove_intermediates(folder: Path) -> None:
    """Remove what an unfinished build keeps in ``folder``."""
    for name in (EMBEDDINGS, PARTITIONS):
        (folder / name).unlink(missing_ok=True)
