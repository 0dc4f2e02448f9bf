"""What a video recalled, for display: trees from the top summary down to the captions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hicm.config import Config
from hicm.data.ids import youtube_id
from hicm.memory.bank import Bank
from hicm.retrieval.records import Visited
from hicm.retrieval.windows import window_seconds
from hicm.types import Event, RecalledNode, RecalledPart, Span

NODES = 4  # nodes shown per level and window, best first, besides those on the way to a shown node
CAPTIONS = 3  # captions shown below a node of the finest level


class Memory:
    """A memory bank as read under ``config``: windows, frames and their rate."""

    def __init__(self, config: Config, bank: Bank) -> None:
        self.config = config
        self.bank = bank
        self._parents = [level.parents for level in bank.levels]  # by level, from 0, the captions
        self._videos = () if bank.leaves is None else bank.leaves.videos

    def windows(self, visited: Sequence[Visited], duration: float, own: str = "",
                rows: np.ndarray | None = None) -> list[RecalledPart]:
        """The windows that recalled something, in order of time; of ``visited`` one entry per window.

        ``own``: the video itself, if its own captions were excluded from recall; they are then not shown either.
        ``rows``: of each window, as in `window_seconds`.
        """
        retrieval, data = self.config.retrieval, self.config.data
        spans = window_seconds(retrieval, duration, data.frames, data.clock.rate, data.sampling, rows)
        return [RecalledPart(Span(*span), self._trees(self._shown(nodes), own))
                for span, nodes in zip(spans, visited, strict=True) if nodes and span is not None]

    def quoted(self, events: Sequence[Event]) -> list[RecalledPart]:
        """For each event that quotes the memory, the path from the top to the quoted node, which has its score.

        Of captions with the same text it is the path to the first; for a bank without embeddings of its captions, the
        path to the node of the finest level.
        """
        leaves = self.bank.leaves
        level = 1 if leaves is None or leaves.embeddings is None else 0
        counts = Counter(self.bank.texts(level))
        first = {text: place for place, text in reversed(list(enumerate(self.bank.texts(level))))}
        return [RecalledPart(event.span, (self._path(level, first[event.text], event, counts[event.text]),))
                for event in events if event.text in first]

    def _path(self, level: int, place: int, event: Event, times: int) -> RecalledNode:
        source = "" if level else self._videos[place] if times == 1 else f"{times} times"
        found = RecalledNode(level, event.text, event.score, source=source)
        at = self._parent(level, place)
        while at is not None:
            found = _joined(RecalledNode(at[0], self.bank.texts(at[0])[at[1]], None, below=(found,)))
            at = self._parent(*at)
        return found

    def _parent(self, level: int, node: int) -> tuple[int, int] | None:
        """The parent of a node as (level, node); None for the top, and for captions that the bank does not hold."""
        if level >= self.bank.depth or node >= len(self._parents[level]):
            return None
        return level + 1, int(self._parents[level][node])

    def _shown(self, visited: Visited) -> Visited:
        """The best nodes read of each level, and their ancestors among those kept; fine to coarse, best first."""
        wanted: set[tuple[int, int] | None] = set()
        kept: Visited = []
        for level in sorted({entry[0] for entry in visited}):
            nodes = [entry for entry in visited if entry[0] == level]
            best = self._read(nodes)[:NODES]
            chosen = [entry for place, entry in enumerate(nodes) if place < len(best) or entry[:2] in wanted]
            wanted |= {self._parent(*entry[:2]) for entry in chosen}
            kept += chosen
        return kept

    def _read(self, nodes: Visited) -> Visited:
        """Of a window's kept nodes of a level, best first, those that were read: ``descend`` keeps others on the way.
        """
        settings, level = self.config.retrieval, nodes[0][0]
        if settings.search != "descend":
            return nodes
        if settings.levels and level not in settings.levels:
            return []
        if not settings.beam or level == min(settings.levels, default=1):
            return nodes
        if settings.select == "similarity":
            return [entry for entry in nodes if entry[2] >= np.float32(settings.threshold)]
        return nodes[:1 if settings.select == "max" else settings.top_k]

    def _trees(self, shown: Visited, own: str) -> tuple[RecalledNode, ...]:
        """Trees of the recalled nodes; a node whose parent was not recalled is a root."""
        places = {entry[:2] for entry in shown}
        below: dict[tuple[int, int], list[RecalledNode]] = {}
        roots: list[RecalledNode] = []
        for level, node, score, leaf in shown:  # fine to coarse, so the children of a node are complete before it
            found = _joined(self._recalled(level, node, score, leaf, tuple(below.get((level, node), ())), own))
            parent = self._parent(level, node)
            (below.setdefault(parent, []) if parent in places else roots).append(found)
        return tuple(sorted(roots, key=lambda root: -root.level))

    def _recalled(self, level: int, node: int, score: float, leaf: int, below: tuple[RecalledNode, ...],
                  own: str) -> RecalledNode:
        if level == 0:
            return RecalledNode(0, self.bank.texts(0)[node], score, source=self._videos[node])
        text, more = self.bank.level(level).texts[node], 0
        if level == 1 and not below:
            below, more = self._captions(node, own)
        if leaf < 0:
            return RecalledNode(level, text, score, below=below, more=more)
        return RecalledNode(level, self.bank.texts(0)[leaf], score, text, self._videos[leaf], below, more)

    def _captions(self, node: int, own: str) -> tuple[tuple[RecalledNode, ...], int]:
        """The distinct captions below a finest node, most frequent first, and how many are not shown."""
        if self.bank.leaves is None:
            return (), 0
        texts, videos = self.bank.texts(0), self._videos
        by_text: dict[str, list[str]] = {}
        for leaf in self.bank.leaves_of(1, node):
            if not own or youtube_id(videos[leaf]) != youtube_id(own):
                by_text.setdefault(texts[leaf], []).append(videos[leaf])
        frequent = sorted(by_text.items(), key=lambda item: -len(item[1]))
        shown = tuple(RecalledNode(0, text, None, source=found[0] if len(found) == 1 else f"{len(found)} times")
                      for text, found in frequent[:CAPTIONS])
        return shown, len(frequent) - len(shown)


def _joined(node: RecalledNode) -> RecalledNode:
    """The node merged with its only child, if that has the same text and, but for rounding, the same score."""
    if len(node.below) != 1:
        return node
    child = node.below[0]
    if (child.text, child.replaced) != (node.text, node.replaced) or not _same_score(child.score, node.score):
        return node
    return replace(node, source=node.source or child.source, below=child.below, more=child.more, lowest=child.reaches)


def _same_score(one: float | None, other: float | None) -> bool:
    """Equal but for rounding: scores may be computed in two ways."""
    return one == other or (one is not None and other is not None and abs(one - other) < 1e-5)
