"""What each window of a video recalled: trees from the top summary down to the captions, for the report page."""

from dataclasses import dataclass, replace

from hicm.config import Config
from hicm.data.ids import youtube_id
from hicm.memory.bank import Bank
from hicm.report.timeline import clock
from hicm.retrieval.windows import window_seconds

NODES = 4  # nodes shown per level and window, best first, besides those on the way to a shown node
CAPTIONS = 3  # captions shown below a node of the finest level

Visited = list[tuple[int, int, float, int]]  # level, node, score, stand-in leaf or -1 (hicm.retrieval.store)


@dataclass(frozen=True)
class RecalledNode:
    """A node of the memory, or a caption (level 0), that a window recalled.

    Nodes with the same text along one branch, as medoids have, become one entry from ``level`` down to ``lowest``.
    """

    level: int
    text: str
    score: float | None  # cosine to the window's frames; None: a caption below a recalled node, not scored itself
    replaced: str = ""  # the summary that ``text`` replaced, because one of the video's own captions wrote it
    source: str = ""  # of a caption: its video, or how many captions have this text
    below: tuple["RecalledNode", ...] = ()
    more: int = 0  # distinct captions below it that are not shown
    lowest: int = -1  # -1: same as ``level``

    @property
    def reaches(self) -> int:
        """The finest level that this entry covers."""
        return self.level if self.lowest < 0 else self.lowest


@dataclass(frozen=True)
class Window:
    """One window: its times in seconds, its trees, and how many nodes were recalled and are shown."""

    start: float
    end: float
    roots: tuple[RecalledNode, ...]
    nodes: int
    shown: int

    @property
    def times(self) -> str:
        """Start and end as printed."""
        return f"{clock(self.start)}–{clock(self.end)}"

    @property
    def finest(self) -> RecalledNode | None:
        """The best node of the finest level that was reached."""
        scored = [(node.score, node) for node in _flat(self.roots) if node.score is not None]
        finest = min((node.reaches for _, node in scored), default=0)
        best = max((entry for entry in scored if entry[1].reaches == finest), key=lambda entry: entry[0], default=None)
        return None if best is None else best[1]


class Memory:
    """A memory bank as read by one run."""

    def __init__(self, config: Config, bank: Bank) -> None:
        self.config = config
        self.bank = bank
        self._parents = [level.parents for level in bank.levels]  # by level, from 0, the captions
        self._videos = () if bank.leaves is None else bank.leaves.videos

    def windows(self, visited: list[Visited], duration: float, own: str = "") -> list[Window]:
        """The windows that recalled something, in order of time.

        ``own``: the video itself, if its own captions were excluded from recall; they are then not shown either.
        """
        found = []
        retrieval, data = self.config.retrieval, self.config.data
        for span, nodes in zip(window_seconds(retrieval, duration, data.frames, data.feature_fps), visited,
                               strict=True):
            if nodes and span is not None:
                shown = self._shown(nodes)
                found.append(Window(*span, self._trees(shown, own), len(nodes), len(shown)))
        return found

    def _parent(self, level: int, node: int) -> tuple[int, int] | None:
        """The parent of a node as (level, node); None for the top, and for captions that the bank does not hold."""
        if level >= self.bank.depth or node >= len(self._parents[level]):
            return None
        return level + 1, int(self._parents[level][node])

    def _shown(self, visited: Visited) -> Visited:
        """The best nodes of each level and their ancestors, fine to coarse, best first."""
        wanted: set[tuple[int, int] | None] = set()
        kept: Visited = []
        for level in sorted({entry[0] for entry in visited}):
            nodes = [entry for entry in visited if entry[0] == level]
            chosen = [entry for place, entry in enumerate(nodes) if place < NODES or entry[:2] in wanted]
            wanted |= {self._parent(*entry[:2]) for entry in chosen}
            kept += chosen
        return kept

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
    """The node merged with its only child, if that has the same text and score."""
    if len(node.below) != 1:
        return node
    child = node.below[0]
    if (child.text, child.score, child.replaced) != (node.text, node.score, node.replaced):
        return node
    return replace(node, below=child.below, more=child.more, lowest=child.reaches)


def _flat(nodes: tuple[RecalledNode, ...]) -> list[RecalledNode]:
    return [found for node in nodes for found in (node, *_flat(node.below))]
