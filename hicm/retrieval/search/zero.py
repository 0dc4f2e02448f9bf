"""A control that keeps nothing: reads of one vector per window then hand over zero vectors, others no token."""

from hicm.config import RetrievalConfig
from hicm.retrieval.records import Kept
from hicm.retrieval.scoring import Queries

NEEDS_BANK = False


def search(queries: Queries, settings: RetrievalConfig, levels: list[int]) -> Kept:
    """Keep nothing."""
    return Kept({}, {}, {})
