"""The hierarchical search: from the top of the tree down."""

from hicm.config import RetrievalConfig
from hicm.retrieval.records import Kept
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select


def search(queries: Queries, settings: RetrievalConfig, levels: list[int]) -> Kept:
    """Keep the best nodes of the top, then among their children, and so on down to the lowest level to be read.

    Candidates of a level are ordered by the kept order of their parents, then by list order: this decides ties.
    """
    tables, kept = queries.tables, Kept({}, {}, {})
    candidates = queries.everything(tables.bank.depth)
    for level in range(tables.bank.depth, min(levels) - 1, -1):
        nodes, scores = select(candidates, queries.scores(level), settings.select, settings.top_k, settings.threshold)
        kept.nodes[level], kept.scores[level] = nodes, scores
        if level in levels:
            kept.to_read[level] = nodes
        if level > min(levels):
            candidates = tables.children(level, nodes)
    return kept
