"""One vector per kept node, so that recalled items stay apart."""

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.records import Kept, Tokens
from hicm.retrieval.scoring import Queries

OF_NODES = True  # each slot stands for one node, which has a text


def read(queries: Queries, kept: Kept, settings: RetrievalConfig) -> Tokens:
    """The embeddings of the best ``top_k`` nodes that a window kept at each level that is read.

    S = W x levels x top_k, window by window, within it coarse to fine, within a level best first; zero and masked where
    fewer were kept.  A slot is (window, level, node), or (window, 0, caption) where a caption stands in for a node.
    """
    count, width = settings.top_k, queries.queries.shape[1]
    shape = (queries.batch, queries.windows, len(kept.to_read), count)
    vectors, scores = np.zeros((*shape, width), np.float32), np.zeros(shape, np.float32)
    mask, slots = np.zeros(shape, bool), np.full((*shape, 3), -1, np.int32)
    slots[..., 0] = np.arange(queries.windows)[:, None, None]
    for place, (level, nodes) in enumerate(kept.to_read.items()):
        nodes = nodes[:, :count]
        there = slice(0, nodes.shape[1])
        stand_ins = queries.stand_ins(level, nodes)
        found = queries.tables.matrix(level)[np.maximum(nodes, 0)]
        if (stand_ins >= 0).any():
            found = np.where((stand_ins >= 0)[..., None], queries.tables.matrix(0)[np.maximum(stand_ins, 0)], found)
        named = nodes >= 0
        vectors[:, :, place, there] = queries.by_video(np.where(named[..., None], found, 0))
        scores[:, :, place, there] = queries.by_video(np.where(named, kept.scores[level][:, :count], 0))
        mask[:, :, place, there] = queries.by_video(named)
        slots[:, :, place, there, 1] = queries.by_video(np.where(stand_ins >= 0, 0, np.where(named, level, -1)))
        slots[:, :, place, there, 2] = queries.by_video(np.where(stand_ins >= 0, stand_ins, nodes))
    flat = queries.batch, queries.windows * len(kept.to_read) * count
    return Tokens(vectors.reshape(*flat, width), mask.reshape(flat), slots.reshape(*flat, 3), scores.reshape(flat))
