"""One vector per window and level, so that the captioner can tell coarse from fine."""

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.records import Kept, Tokens
from hicm.retrieval.scoring import Queries


def read(queries: Queries, kept: Kept, settings: RetrievalConfig) -> Tokens:
    """The mean embedding that a window kept at each level that is read; zero and masked where it kept nothing.

    S = W x levels, window by window and within it coarse to fine; a slot is (window, level, -1).
    """
    shape, width = (queries.batch, queries.windows, len(kept.to_read)), queries.queries.shape[1]
    vectors = np.zeros((*shape, width), np.float32)
    mask, slots = np.zeros(shape, bool), np.full((*shape, 3), -1, np.int32)
    slots[..., 0] = np.arange(queries.windows)[:, None]
    for place, (level, nodes) in enumerate(kept.to_read.items()):
        vectors[:, :, place] = queries.by_video(queries.mean(level, nodes))
        mask[:, :, place] = queries.by_video(nodes >= 0).any(axis=2)
        slots[:, :, place, 1] = level
    flat = queries.batch, queries.windows * len(kept.to_read)
    return Tokens(vectors.reshape(*flat, width), mask.reshape(flat), slots.reshape(*flat, 3))
