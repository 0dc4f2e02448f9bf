"""A bank as text for people to read.

    level.node  captions below  summary  [video #sentence it was quoted from]
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hicm.errors import UserError
from hicm.memory.bank import Bank, Leaves, load_bank


def show_memory(folder: str | Path, depth: int = 2, children: int = 3, width: int = 100, find: str = "") -> str:
    """The bank's origin, its levels, and ``depth`` levels of its tree from the top, one line per node.

    Nodes with most captions come first.  Below a node its ``children`` largest children are shown (0: all), below
    level 1 the captions.  ``find`` keeps only the branches that lead to a text containing it, ignoring case, and
    follows them down whatever the ``depth``.  Lines are cut at ``width`` characters.  Raises UserError when there is
    no bank, or no such text.
    """
    bank = load_bank(folder)
    hits = _hits(bank, find)
    if not hits[bank.depth].any():
        raise UserError(f"{folder}: no text of this memory contains {find!r}; try fewer or other words")
    tree = _Tree(bank, hits, children or len(bank.texts(0)) + len(bank.levels[0]),
                 lowest=bank.depth + 1 - depth, found_only=bool(find))
    lines = [*_header(bank, folder), "", *tree.lines(bank.depth, np.arange(len(bank.levels[-1])), "", limit=None)]
    return "\n".join(_cut(line, width) for line in lines) + "\n"


@dataclass(frozen=True, eq=False)
class _Tree:
    bank: Bank
    hits: list[np.ndarray]  # by level: whether the node or something below it contains the words
    children: int
    lowest: int  # lowest level shown without a hit below it
    found_only: bool

    def lines(self, level: int, ids: np.ndarray, indent: str, limit: int | None) -> Iterator[str]:
        ids = ids[self.hits[level][ids]]
        ids = ids[np.argsort(-self.bank.sizes[level][ids], kind="stable")]
        for node in ids[:limit]:
            yield f"{indent}{self._label(level, node)}"
            below = self.bank.levels[level - 1].children[node] if level else ids[:0]
            if len(below) and (self.found_only or level > max(self.lowest, 0)) and self.hits[level - 1][below].any():
                yield from self.lines(level - 1, below, indent + "  ", self.children)
        if limit is not None and len(ids) > limit:
            yield f"{indent}... and {len(ids) - limit} more"

    def _label(self, level: int, node: int) -> str:
        text = " ".join(self.bank.texts(level)[node].split())
        leaf = node if level == 0 else self.bank.levels[level - 1].authors[node]
        leaves = self.bank.leaves
        origin = f"  [{origin_of(leaves, leaf)}]" if leaves is not None and leaf >= 0 else ""
        size = self.bank.sizes[level][node]
        return f"- {text}{origin}" if level == 0 else f"{level}.{node}  ({size})  {text}{origin}"


def origin_of(leaves: Leaves, leaf: int) -> str:
    """Video and sentence number of a caption; the number alone where an import did not know the video ("")."""
    return f"{leaves.videos[leaf]} #{leaves.sentences[leaf]}".lstrip()


def _hits(bank: Bank, find: str) -> list[np.ndarray]:
    words = find.lower()

    def own(number: int) -> np.ndarray:
        return np.asarray([words in text.lower() for text in bank.texts(number)], bool)

    hits = [own(0)]
    for number, level in enumerate(bank.levels, start=1):
        hits.append(own(number) | np.asarray([hits[-1][ids].any() for ids in level.children]))
    return hits


def _header(bank: Bank, folder: str | Path) -> Iterator[str]:
    info = bank.info
    yield f"{folder}"
    yield (f"encoder {info.get('encoder', 'unknown')} ({bank.width} wide), summaries by "
           f"{info.get('summariser', 'unknown')}, from {', '.join(info.get('sources', ['unknown']))}")
    for number in range(bank.depth, 0, -1):
        level = bank.levels[number - 1]
        below = np.asarray([len(ids) for ids in level.children])
        spread = f"  children: median {np.median(below):.0f}, most {below.max()}" if below.any() else ""
        yield f"level {number:<3}{len(level):8,} nodes{spread}"
    if bank.leaves is not None:
        videos = len(set(bank.leaves.videos) - {""})
        yield f"captions {len(bank.leaves):8,} of {f'{videos:,}' if videos else 'unknown'} videos"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(width - 4, 0)].rstrip() + " ..."
