"""What a search hands to a read, and a read to whoever uses the memory.

B videos, W windows per video, M = B * W windows of a batch (video-major), K nodes (lists of unequal length are padded
at their end), S slots per video, D width.  Dictionaries go by level, coarse to fine; level 0 = the captions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Visited = list[tuple[int, int, float, int]]  # of one window: level, node, score, stand-in caption or -1


@dataclass(frozen=True, eq=False)
class Kept:
    """The nodes that a search kept, and which of them a read hands over.

    ``nodes`` also names what was kept on the way only: at levels that are passed through, or in a beam.
    """

    nodes: dict[int, np.ndarray]  # level -> int32 [M, K], best first, -1 padded
    scores: dict[int, np.ndarray]  # level -> float32 [M, K] cosines, 0 where padded
    to_read: dict[int, np.ndarray]  # level -> int32 [M, K]: as ``nodes``, with -1 also where a node is not to be read


class Tokens(NamedTuple):
    """What a read hands over.  S depends on the settings and the bank alone, never on the batch.

    A slot says what its vector stands for: (window, level, node), each counted as in the bank, and -1 where it stands
    for several or all levels or nodes.  Where a caption stands in for a node (own_out.py), the slot names the caption:
    (window, 0, caption).
    """

    vectors: np.ndarray  # float32 [B, S, D]; zero where nothing was kept
    mask: np.ndarray  # bool [B, S]; False: nothing is handed over here
    slots: np.ndarray  # int32 [B, S, 3]
    scores: np.ndarray | None = None  # float32 [B, S]: cosines of the slots that stand for one node; None: of none


@dataclass(frozen=True, eq=False)
class Recalled:
    """What a batch of videos recalled: what is handed over (see `Tokens`), and every node kept on the way."""

    vectors: np.ndarray  # float32 [B, S, D]
    mask: np.ndarray  # bool [B, S]
    slots: np.ndarray  # int32 [B, S, 3]
    windows: np.ndarray  # bool [B, W]; False: the window has no real frame (only with mask_padding)
    nodes: dict[int, np.ndarray]  # level -> int32 [B, W, K], best first, -1 padded
    scores: dict[int, np.ndarray]  # level -> float32 [B, W, K] cosines
    stand_in: dict[int, np.ndarray]  # level -> int32 [B, W, K]: caption read in the node's place (own_out.py), or -1
    slot_scores: np.ndarray | None = None  # float32 [B, S]: see `Tokens`
    # int32 [B, W, 2]: first row of the frames and the one after the last, -1, -1: none (`windows.window_means`)
    window_rows: np.ndarray | None = None

    def visited(self, row: int) -> list[Visited]:
        """What one video of the batch kept on the way; see `visited_nodes`."""
        return visited_nodes(self.windows.shape[1], [
            (level, self.nodes[level][row], self.scores[level][row], self.stand_in[level][row])
            for level in sorted(self.nodes, reverse=True)])


def visited_nodes(windows: int, levels: Iterable[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> list[Visited]:
    """Per window of a video the nodes that were kept: levels in the order given, best first.

    ``levels``: level, nodes int32 [W, K] with -1 where padded, their scores float32 [W, K], stand-ins int32 [W, K].
    """
    found: list[Visited] = [[] for _ in range(windows)]
    for level, *parts in levels:
        for window, *lists in zip(found, *(part.tolist() for part in parts), strict=True):
            window.extend((level, node, score, leaf) for node, score, leaf in zip(*lists, strict=True) if node >= 0)
    return found
