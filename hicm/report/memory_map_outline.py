"""What the map of a memory bank draws: the points, the tree above them, the order of the top clusters.

Points are captions (level 0), or the nodes of level 1 where the bank keeps no embeddings of captions.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hicm.memory.bank import Bank


@dataclass(frozen=True, eq=False)
class Outline:
    """A bank, and what the drawings derive from it; level 0 are the captions."""

    bank: Bank

    @property
    def base(self) -> int:
        """The level whose texts are the points: 0, or 1 if there are no embeddings of captions."""
        return int(self.bank.leaves is None or self.bank.leaves.embeddings is None)

    @property
    def unit(self) -> str:
        """What sizes count."""
        return "captions" if self.bank.leaves is not None else "finest nodes"

    @property
    def embeddings(self) -> np.ndarray:
        """Embeddings of the points, [n, D]."""
        leaves = self.bank.leaves
        return self.bank.levels[0].embeddings if leaves is None or leaves.embeddings is None else leaves.embeddings

    def path(self, level: int, ids: np.ndarray) -> list[np.ndarray]:
        """``ids`` of a level, and the nodes above them on level + 1, ... P: one array per level."""
        path = [ids]
        for above in self.bank.levels[level:]:
            path.append(above.parents[path[-1]])
        return path

    @cached_property
    def ranked(self) -> np.ndarray:
        """The top nodes, largest first."""
        return np.argsort(-self.bank.sizes[-1], kind="stable")
