"""One level searched as a flat list: the memory without its hierarchy."""

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.retrieval.records import Kept
from hicm.retrieval.scoring import Queries
from hicm.retrieval.select import select_listed

BEAM = False


def search(queries: Queries, settings: RetrievalConfig, levels: list[int]) -> Kept:
    """Keep the best of all nodes of level ``flat_level`` (0: of the captions); ``levels`` plays no part."""
    level = settings.flat_level
    nodes, scores = select_listed(*queries.whole(level), settings.select, settings.top_k, settings.threshold)
    return Kept({level: nodes}, {level: scores}, {level: nodes})


def check(bank: Bank, settings: RetrievalConfig) -> None:
    """UserError unless the bank has the level and its embeddings."""
    if not 0 <= settings.flat_level <= bank.depth:
        raise UserError(f"retrieval.flat_level={settings.flat_level}: the bank has levels 1 (finest) to {bank.depth}, "
                        "and 0 for the captions")
    if settings.flat_level == 0 and (bank.leaves is None or bank.leaves.embeddings is None):
        raise UserError("retrieval.flat_level=0: this memory bank does not hold its captions' embeddings; choose a "
                        f"level from 1 to {bank.depth}")
