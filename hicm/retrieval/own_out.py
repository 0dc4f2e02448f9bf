"""Leave-own-video-out: what a training video may not recall, and what it recalls instead.

In training a video's own captions are in the memory, in testing they are not; reading them would teach the captioner
to copy.  The rule for video v, at every level: a node is *tainted* when v wrote its summary, that is, when its author
is a caption of v, or when it was written from all its captions (author -1) and one of them is v's.  A tainted node is
replaced by a caption that v did not write: among the captions of other videos below it, the one whose embedding is
closest in cosine to their mean (first on ties).  That caption is scored and read in the node's place.  A node with
captions of v alone is removed, and so are v's captions themselves.

The tree stays as it is: v's captions took part in the clustering and in the choice of the other nodes' medoids.
What is read never comes from v's texts or embeddings, whatever the search and the read.
"""

from dataclasses import dataclass, field

import numpy as np

from hicm.data.ids import youtube_id
from hicm.errors import UserError
from hicm.memory.bank import Bank, grouped
from hicm.memory.summarisers.medoid import most_central


@dataclass(frozen=True, eq=False)
class OwnOut:
    """What one video may not recall; level 0 = captions."""

    removed: dict[int, np.ndarray] = field(default_factory=dict)  # level -> ids without a caption of another video
    # level -> (nodes, ascending; the leaf of each)
    stand_ins: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


class Provenance:
    """Who wrote what in a bank, looked up by video and cached.

    Raises UserError when the bank does not hold its captions' videos or embeddings.
    """

    def __init__(self, bank: Bank) -> None:
        if bank.leaves is None or bank.leaves.embeddings is None or not all(bank.leaves.videos):
            raise UserError("memory bank: leaving a video's own captions out needs the bank's captions with their "
                            "videos and embeddings, and this bank has none; set retrieval.leave_own_out=false")
        self.bank = bank
        self._embeddings = bank.leaves.embeddings
        self._number: dict[str, int] = {}
        videos = [self._number.setdefault(youtube_id(video), len(self._number)) for video in bank.leaves.videos]
        self._video = np.asarray(videos, np.int64)  # of each leaf
        self._by_video = grouped(self._video, len(self._number))
        self._by_node: dict[int, list[np.ndarray]] = {}  # level -> the leaves below each node
        self._known: dict[str, OwnOut | None] = {}

    def own_out(self, video: str) -> OwnOut | None:
        """What ``video`` may not recall; None when it wrote nothing."""
        key = youtube_id(video)
        if key not in self._known:
            self._known[key] = self._find(self._number[key]) if key in self._number else None
        return self._known[key]

    def _find(self, video: int) -> OwnOut:
        mine = self._by_video[video]
        removed, stand_ins = {0: mine}, {}
        for number, level in enumerate(self.bank.levels, start=1):
            above = self.bank.ancestors(number)
            if number not in self._by_node:
                self._by_node[number] = self.bank.leaves_by_node(number)
            over = np.unique(above[mine])  # a node's author is below it
            authors = level.authors[over]
            empty, nodes, leaves = [], [], []
            for node in over[(authors < 0) | np.isin(authors, mine)]:
                below = self._by_node[number][node]
                others = below[self._video[below] != video]
                if len(others):
                    nodes.append(node)
                    leaves.append(others[most_central(self._embeddings[others])])
                else:
                    empty.append(node)
            if empty:
                removed[number] = np.asarray(empty)
            if nodes:
                stand_ins[number] = np.asarray(nodes), np.asarray(leaves)
        return OwnOut(removed, stand_ins)
