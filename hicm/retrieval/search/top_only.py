"""The search of the released code: the top level alone, whatever levels are asked for."""

import warnings

import numpy as np

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.retrieval.records import Kept
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select

BEAM = False


def search(queries: Queries, settings: RetrievalConfig, levels: list[int]) -> Kept:
    """Keep the best nodes of the top.

    The choice of levels only matters with select="similarity": a window then reads nothing when, on the way from the
    top to the first level to be read, none of the kept top nodes' children passes the threshold.  The children's ids
    are looked up in the level at hand, which from the third level down is the wrong one.
    """
    tables, top = queries.tables, queries.tables.bank.depth
    nodes, scores = select(queries.everything(top), queries.scores(top), settings.select, settings.top_k,
                           settings.threshold)
    to_read = nodes
    if settings.select == "similarity" and max(levels) < top:
        children = tables.children(top, nodes)
        for level in range(top - 1, max(levels) - 1, -1):
            passing, _ = select(children, queries.scores(level), "similarity", 0, settings.threshold)
            to_read = np.where((passing >= 0).any(axis=1, keepdims=True), to_read, np.int32(-1))
    return Kept({top: nodes}, {top: scores}, {top: to_read})


def check(bank: Bank, settings: RetrievalConfig) -> None:
    """UserError when the captions are to be read; a warning when every window will recall the same."""
    if 0 in settings.levels:
        raise UserError(f"retrieval.levels={settings.levels}: search=top_only reads the top level, never level 0 "
                        "(the captions); set retrieval.search=descend, or leave 0 out")
    top = len(bank.levels[-1])
    if settings.select == "top-k" and settings.top_k >= top:
        warnings.warn(f"retrieval.search=top_only with top_k={settings.top_k} reads all {top} top nodes: every window "
                      "of every video recalls the same vector", stacklevel=3)
