"""Reading one level as a flat list: the memory without its hierarchy."""

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.hierarchical import Kept
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select


def flat(queries: Queries, settings: RetrievalConfig) -> tuple[np.ndarray, Kept]:
    """Mean embedding of the nodes kept among all of level ``flat_level`` (0: the captions), and those nodes."""
    level = settings.flat_level
    nodes, scores = select(queries.everything(level), queries.scores(level), settings.select, settings.top_k,
                           settings.threshold)
    return queries.mean(level, nodes), {level: (nodes, scores)}
