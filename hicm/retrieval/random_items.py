"""Items drawn from a memory at random, none of which a video may not recall."""

import numpy as np

from hicm.memory.bank import Bank
from hicm.retrieval.own_out import OwnOut, Provenance
from hicm.retrieval.scoring import Tables


class RandomItems:
    """Draws nodes of a bank, or captions, for training that exchanges some of what is recalled.

    With ``leave_own_out`` a video gets nothing that its own captions wrote (own_out.py).  Safe to hand to worker
    processes.  Raises UserError when the bank cannot tell which captions are whose.
    """

    def __init__(self, bank: Bank, leave_own_out: bool = True) -> None:
        self._tables = Tables(bank)
        self._provenance = Provenance(bank) if leave_own_out else None

    def draw(self, video: str, level: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """Level and id of a node of ``level`` (0: a caption), all equally likely, or of the caption that stands in.

        None where the video may recall nothing of that level.
        """
        own = None if self._provenance is None else self._provenance.own_out(video)
        own = own or OwnOut()
        removed = np.sort(own.removed.get(level, np.zeros(0, np.int64)))
        count = len(self._tables.bank.texts(level)) - len(removed)
        if count < 1:
            return None
        place = int(rng.integers(count))
        node = place + int(np.searchsorted(removed - np.arange(len(removed)), place, side="right"))
        nodes, leaves = own.stand_ins.get(level, (removed[:0], removed[:0]))
        stand_in = leaves[nodes == node]
        return (0, int(stand_in[0])) if len(stand_in) else (level, node)

    def vector(self, level: int, node: int) -> np.ndarray:
        """The embedding of a node, or of a caption (level 0), float32 [D]."""
        return self._tables.matrix(level)[node]

    def text(self, level: int, node: int) -> str:
        """The text of a node, or of a caption (level 0)."""
        return self._tables.bank.texts(level)[node]
