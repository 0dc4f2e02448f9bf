"""One vector per window, as the read "mean", but near nodes count more than far ones."""

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.records import Kept, Tokens
from hicm.retrieval.scoring import Queries

TEMPERED = True  # retrieval.temperature has an effect


def read(queries: Queries, kept: Kept, settings: RetrievalConfig) -> Tokens:
    """The mean, over the levels a window reached, of the embeddings kept there, each weighted by the softmax of
    cosine / ``retrieval.temperature`` over the nodes of its level; zero if none.

    The higher the temperature, the nearer this is to the read "mean", which it equals where all cosines are equal.
    S = W; a slot is (window, -1, -1).  A window is masked when it has no real frame, not when it kept nothing.
    """
    total = np.zeros(queries.queries.shape, np.float32)
    reached = np.zeros((len(total), 1), np.float32)
    for level, nodes in kept.to_read.items():
        total += queries.mean(level, nodes, _weights(nodes, kept.scores[level], settings.temperature))
        reached += (nodes >= 0).any(axis=1, keepdims=True)
    total /= np.maximum(reached, 1)
    vectors = queries.by_video(queries.tables.round(total))
    slots = np.full((*vectors.shape[:2], 3), -1, np.int32)
    slots[..., 0] = np.arange(queries.windows)
    return Tokens(vectors, queries.by_video(queries.valid), slots)


def _weights(nodes: np.ndarray, scores: np.ndarray, temperature: float) -> np.ndarray:
    """exp(cosine / temperature) of nodes int32 [M, K] over that of the best one, float32 [M, K]; 0 where padded."""
    named = nodes >= 0
    best = np.max(scores, axis=1, keepdims=True, initial=-np.inf, where=named)
    weights = np.exp(np.where(named, (scores - np.where(np.isfinite(best), best, 0)) / temperature, -np.inf))
    return weights.astype(np.float32)
