"""A control that never looks at the query: what is the memory's content worth?"""

import zlib

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.records import Kept
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select

BEAM = False


def search(queries: Queries, settings: RetrievalConfig, levels: list[int]) -> Kept:
    """Keep as many nodes of every level to be read as another search would, drawn at random.

    The draw depends on retrieval.seed, the video's id and the window alone.  Scores are 0.  Raises ValueError when
    the queries come without the videos' ids.
    """
    if queries.ids is None:
        raise ValueError("search 'random' draws by video: pass ids")
    generators = [np.random.default_rng([settings.seed, zlib.crc32(video.encode())]) for video in queries.ids]
    kept = Kept({}, {}, {})
    for level in sorted(levels, reverse=True):
        candidates = queries.everything(level)
        lots = np.zeros(candidates.shape, np.float32)
        for rows, generator in zip(queries.rows(), generators, strict=True):
            lots[rows] = generator.random(lots[rows].shape, np.float32)
        queries.hide(level, lots)
        nodes, _ = select(candidates, lots, "max" if settings.select == "max" else "top-k", settings.top_k, 0)
        kept.nodes[level] = kept.to_read[level] = nodes
        kept.scores[level] = np.zeros(nodes.shape, np.float32)
    return kept
