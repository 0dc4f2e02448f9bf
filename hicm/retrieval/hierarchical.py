"""Reading the tree: from the top down, or from the top alone as the released code does.

Each search takes the batch's queries, the settings and the levels to be read, and returns the read vectors
float32 [M, D] and, per level coarse to fine, the kept nodes and their scores [M, K] (-1 and 0 padded).
"""

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select

Kept = dict[int, tuple[np.ndarray, np.ndarray]]


def descend(queries: Queries, settings: RetrievalConfig, used: list[int]) -> tuple[np.ndarray, Kept]:
    """Keep the best nodes of the top, then among their children, and so on down to the lowest used level.

    The read is the mean, over the used levels a window reached, of the mean embedding kept there; zero if none.
    Candidates of a level are ordered by the kept order of their parents, then by list order: this decides ties.
    """
    tables, kept = queries.tables, {}
    total = np.zeros(queries.queries.shape, np.float32)
    reached = np.zeros((len(total), 1), np.float32)
    candidates = queries.everything(tables.bank.depth)
    for level in range(tables.bank.depth, min(used) - 1, -1):
        nodes, scores = select(candidates, queries.scores(level), settings.select, settings.top_k, settings.threshold)
        kept[level] = nodes, scores
        if level in used:
            total += queries.mean(level, nodes)
            reached += (nodes >= 0).any(axis=1, keepdims=True)
        if level > min(used):
            candidates = tables.children(level, nodes)
    return tables.round(total / np.maximum(reached, 1)), kept


def top_only(queries: Queries, settings: RetrievalConfig, used: list[int]) -> tuple[np.ndarray, Kept]:
    """The released read: every used level contributes the mean of the nodes kept at the *top*.

    So the choice of levels has no effect, but for select="similarity": that one gives up (zero) when, on the way
    from the top to the first used level, none of the kept top nodes' children passes the threshold.  The children's
    ids are looked up in the level at hand, which from the third level down is the wrong one.
    """
    tables, top = queries.tables, queries.tables.bank.depth
    nodes, scores = select(queries.everything(top), queries.scores(top), settings.select, settings.top_k,
                           settings.threshold)
    read = queries.mean(top, nodes)
    if settings.select == "similarity" and max(used) < top:
        children = tables.children(top, nodes)
        for level in range(top - 1, max(used) - 1, -1):
            passing, _ = select(children, queries.scores(level), "similarity", 0, settings.threshold)
            read[~(passing >= 0).any(axis=1)] = 0
    return tables.round(read), {top: (nodes, scores)}
