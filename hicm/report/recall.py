"""What each window of a video recalled, as trees from the top summary down to the captions, ready to be printed."""

from dataclasses import dataclass, replace

from hicm.config import Config
from hicm.data.ids import youtube_id
from hicm.memory.bank import Bank
from hicm.report.timeline import clock
from hicm.retrieval.windows import window_seconds

NODES = 4  # nodes of a level shown for a window, best first, besides those that lead to them
CAPTIONS = 3  # captions shown below a finest node

Visited = list[tuple[int, int, float, int]]  # level, node, score, stand-in leaf or -1 (hicm.retrieval.store)


@dataclass(frozen=True)
class Recalled:
    """A node of the memory or a caption (level 0) that a window recalled.

    Nodes that pass one text down a branch, as medoids do, are one entry from ``level`` down to ``lowest``.
    """

    level: int
    text: str
    score: float | None  # cosine to the window's frames; None: lies below a recalled node, was not scored itself
    replaced: str = ""  # the summary that was not read, because the video's own caption wrote it; ``text`` was instead
    source: str = ""  # of a caption: its video, or how many captions say the same
    below: tuple["Recalled", ...] = ()
    more: int = 0  # different captions below it that are not shown
    lowest: int = -1  # level; -1: the same as ``level``


    @property
    def reaches(self) -> int:
        """The finest level of this entry."""
        return self.level if self.lowest < 0 else self.lowest


@dataclass(frozen=True)
class Window:
    """One window: its seconds, its roots, how many nodes were recalled and how many of them are shown."""

    start: float
    end: float
    roots: tuple[Recalled, ...]
    nodes: int
    shown: int

    @property
    def times(self) -> str:
        """As printed."""
        return f"{clock(self.start)}–{clock(self.end)}"

    @property
    def finest(self) -> Recalled | None:
        """The best node of the finest level reached: what the path led to."""
        scored = [node for node in _flat(self.roots) if node.score is not None]
        finest = min((node.reaches for node in scored), default=0)
        return max((node for node in scored if node.reaches == finest), key=lambda node: node.score, default=None)


class Memory:
    """A bank as a run reads it."""

    def __init__(self, config: Config, bank: Bank) -> None:
        self.config = config
        self.bank = bank
        self._parents = [level.parents for level in bank.levels]  # by level from 0, the captions

    def windows(self, visited: list[Visited], duration: float, own: str = "") -> list[Window]:
        """The windows that recalled something, in order of time.

        ``own``: the video, if its captions were left out of what it may recall; they are then not shown either.
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
        """The place (level, node) above a node; None above the top, or above captions the bank does not hold."""
        if level >= self.bank.depth or node >= len(self._parents[level]):
            return None
        return level + 1, int(self._parents[level][node])

    def _shown(self, visited: Visited) -> Visited:
        """The best of each level and what leads to them, fine to coarse, best first."""
        wanted: set[tuple[int, int] | None] = set()
        kept: Visited = []
        for level in sorted({entry[0] for entry in visited}):
            nodes = [entry for entry in visited if entry[0] == level]
            chosen = [entry for place, entry in enumerate(nodes) if place < NODES or entry[:2] in wanted]
            wanted |= {self._parent(*entry[:2]) for entry in chosen}
            kept += chosen
        return kept

    def _trees(self, shown: Visited, own: str) -> tuple[Recalled, ...]:
        """Nodes hung below their parents; a node whose parent was not recalled is a root."""
        places = {entry[:2] for entry in shown}
        below: dict[tuple[int, int], list[Recalled]] = {}
        roots: list[Recalled] = []
        for level, node, score, leaf in shown:  # fine to coarse: what lies below a node is complete before it
            found = _joined(self._recalled(level, node, score, leaf, tuple(below.get((level, node), ())), own))
            parent = self._parent(level, node)
            (below.setdefault(parent, []) if parent in places else roots).append(found)
        return tuple(sorted(roots, key=lambda root: -root.level))

    def _recalled(self, level: int, node: int, score: float, leaf: int, below: tuple[Recalled, ...],
                  own: str) -> Recalled:
        leaves = self.bank.leaves
        if level == 0:
            return Recalled(0, leaves.texts[node], score, source=leaves.videos[node])
        text, more = self.bank.level(level).texts[node], 0
        if level == 1 and not below:
            below, more = self._captions(node, own)
        if leaf < 0:
            return Recalled(level, text, score, below=below, more=more)
        return Recalled(level, leaves.texts[leaf], score, replaced=text, source=leaves.videos[leaf], below=below,
                        more=more)

    def _captions(self, node: int, own: str) -> tuple[tuple[Recalled, ...], int]:
        """The captions below a finest node, most frequent first, equal ones together; and how many more there are."""
        leaves = self.bank.leaves
        if leaves is None:
            return (), 0
        videos: dict[str, list[str]] = {}
        for leaf in self.bank.leaves_of(1, node):
            if not own or youtube_id(leaves.videos[leaf]) != youtube_id(own):
                videos.setdefault(leaves.texts[leaf], []).append(leaves.videos[leaf])
        frequent = sorted(videos.items(), key=lambda item: -len(item[1]))
        shown = tuple(Recalled(0, text, None, source=who[0] if len(who) == 1 else f"{len(who)} times")
                      for text, who in frequent[:CAPTIONS])
        return shown, len(frequent) - len(shown)


def _joined(node: Recalled) -> Recalled:
    """The node together with its only child, if that is recalled with the same text and score."""
    if len(node.below) != 1:
        return node
    child = node.below[0]
    if (child.text, child.score, child.replaced) != (node.text, node.score, node.replaced):
        return node
    return replace(node, below=child.below, more=child.more, lowest=child.reaches)


def _flat(nodes: tuple[Recalled, ...]) -> list[Recalled]:
    return [found for node in nodes for found in (node, *_flat(node.below))]
