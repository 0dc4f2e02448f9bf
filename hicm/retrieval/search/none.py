"""No memory: nothing is handed over, whatever the read."""

from hicm.config import RetrievalConfig
from hicm.retrieval.scoring import Queries

NEEDS_BANK = False


def search(queries: Queries, settings: RetrievalConfig, levels: list[int]) -> None:
    """Hand over nothing."""
