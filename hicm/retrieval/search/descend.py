"""The hierarchical search: from the top of the tree down."""

import warnings

import numpy as np

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.retrieval.records import Kept
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select_listed


def search(queries: Queries, settings: RetrievalConfig, levels: list[int]) -> Kept:
    """Keep the best nodes of the top, then among their children, and so on down to the lowest level to be read.

    Candidates of a level are ordered by the kept order of their parents, then by list order: this decides ties.  With
    a beam, ``beam`` nodes are kept above the lowest level, and ``select`` picks those to be read among them.
    """
    tables, lowest, kept = queries.tables, min(levels), Kept({}, {}, {})
    candidates = queries.everything(tables.bank.depth)
    for level in range(tables.bank.depth, lowest - 1, -1):
        listed, beam = queries.listed(level, candidates), settings.beam if level > lowest else 0
        nodes, scores = select_listed(candidates, listed, "top-k" if beam else settings.select,
                                      beam or settings.top_k, settings.threshold)
        kept.nodes[level], kept.scores[level] = nodes, scores
        if level in levels:
            kept.to_read[level] = _picked(nodes, scores, settings) if beam else nodes
        if level > lowest:
            candidates = tables.children(level, nodes)
    return kept


def check(bank: Bank, settings: RetrievalConfig) -> None:
    """UserError when a beam is too narrow for what is to be read; a warning when it may cut what a threshold lets pass.
    """
    if settings.select == "top-k" and 0 < settings.beam < settings.top_k:
        raise UserError(f"retrieval.beam={settings.beam}: fewer nodes than the top_k={settings.top_k} that are read; "
                        "set it to top_k or more, or to 0")
    if settings.select == "similarity" and settings.beam:
        warnings.warn(f"retrieval.beam={settings.beam} with select=similarity: above the lowest level at most "
                      f"{settings.beam} nodes per level are read, however many reach the threshold; beam=0 reads them "
                      "all", stacklevel=3)


def _picked(nodes: np.ndarray, scores: np.ndarray, settings: RetrievalConfig) -> np.ndarray:
    """The nodes [M, K] that ``select`` picks of a beam, which has its best first; -1 in the place of the others."""
    if settings.select == "similarity":
        return np.where(scores >= settings.threshold, nodes, np.int32(-1))
    count = 1 if settings.select == "max" else settings.top_k
    return np.where(np.arange(nodes.shape[1]) < count, nodes, np.int32(-1))
