"""One vector per window, as HiCM2 reads its memory."""

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.records import Kept, Tokens
from hicm.retrieval.scoring import Queries


def read(queries: Queries, kept: Kept, settings: RetrievalConfig) -> Tokens:
    """The mean, over the levels a window reached, of the mean embedding kept there; zero if none.

    S = W; a slot is (window, -1, -1).  A window is masked when it has no real frame, not when it kept nothing.
    """
    total = np.zeros(queries.queries.shape, np.float32)
    reached = np.zeros((len(total), 1), np.float32)
    for level, nodes in kept.to_read.items():
        total += queries.mean(level, nodes)
        reached += (nodes >= 0).any(axis=1, keepdims=True)
    total /= np.maximum(reached, 1)
    vectors = queries.by_video(queries.tables.round(total))
    slots = np.full((*vectors.shape[:2], 3), -1, np.int32)
    slots[..., 0] = np.arange(queries.windows)
    return Tokens(vectors, queries.by_video(queries.valid), slots)
