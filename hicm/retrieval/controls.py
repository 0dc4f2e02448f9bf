"""Reads that use no query, to learn what the memory's content is worth."""

import zlib
from collections.abc import Sequence

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.hierarchical import Kept
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select


def random_nodes(queries: Queries, settings: RetrievalConfig, used: list[int],
                 ids: Sequence[str]) -> tuple[np.ndarray, Kept]:
    """As many nodes of every used level as a search would keep, drawn without looking at the query.

    The draw depends on retrieval.seed, the video id and the window alone.  Scores are 0.
    """
    generators = [np.random.default_rng([settings.seed, zlib.crc32(video.encode())]) for video in ids]
    total, kept = np.zeros(queries.queries.shape, np.float32), {}
    reached = np.zeros((len(total), 1), np.float32)
    for level in sorted(used, reverse=True):
        candidates = queries.everything(level)
        lots = np.concatenate([generator.random((queries.windows, candidates.shape[1]), np.float32)
                               for generator in generators])
        queries.hide(level, lots)
        nodes, _ = select(candidates, lots, "max" if settings.select == "max" else "top-k", settings.top_k, 0)
        kept[level] = nodes, np.zeros(nodes.shape, np.float32)
        total += queries.mean(level, nodes)
        reached += (nodes >= 0).any(axis=1, keepdims=True)
    return queries.tables.round(total / np.maximum(reached, 1)), kept
