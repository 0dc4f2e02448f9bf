"""How two memory banks differ: origin, captions, partitions, summaries, embeddings.

Captions of the two are the same when video, sentence number and text agree; the text alone counts where one bank does
not know the videos.  Nodes are the same when they stand on the same level above the same captions.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.memory.bank import Bank, Level, load_bank
from hicm.memory.show import origin_of

EXAMPLES = 5


@dataclass(frozen=True)
class LevelDiff:
    """One level of two banks, 1 = finest; None: cannot be compared."""

    level: int
    nodes: tuple[int, int]
    rand: float | None  # adjusted Rand index of the two partitions of the shared captions; 1: the same
    same: int | None  # nodes above the same captions
    rewritten: int | None  # of these, nodes with another summary
    examples: tuple[tuple[str, str], ...]  # their summaries in A and in B
    embedding: float | None  # largest absolute difference of an embedding's entry over these nodes


@dataclass(frozen=True)
class Diff:
    """``str()`` is to be read, `to_json` plain data.  A is the first bank, B the second."""

    names: tuple[str, str]
    identical: bool
    info: dict[str, tuple[Any, Any]]  # what is said differently about their making
    depths: tuple[int, int]
    captions: tuple[int | None, int | None]  # None: not stored
    shared: int | None  # captions in both
    only: tuple[tuple[str, ...], tuple[str, ...]]  # examples of captions in A only, in B only
    matched_by: str  # "video, sentence and text", "text", or "number" (nodes, where captions are not stored)
    levels: tuple[LevelDiff, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        head = [f"A  {self.names[0]}", f"B  {self.names[1]}"]
        if self.identical:
            return "\n".join([*head, "identical"])
        return "\n".join([*head, *self._info(), *self._captions(), *(line for level in self.levels
                                                                     for line in self._level(level))])

    def _info(self) -> list[str]:
        return [f"{key}: {_cut(left)} in A, {_cut(right)} in B" for key, (left, right) in self.info.items()]

    def _captions(self) -> list[str]:
        if self.shared is None:
            return ["captions are not stored in both; nodes are compared by their numbers"]
        lines = [f"captions: {self.captions[0]:,} in A, {self.captions[1]:,} in B, {self.shared:,} shared (same "
                 f"{self.matched_by})"]
        for name, total, examples in zip("AB", self.captions, self.only, strict=True):
            if total > self.shared:
                lines.append(f"only in {name}: {total - self.shared:,}, e.g. {'; '.join(examples)}")
        return lines

    def _level(self, level: LevelDiff) -> list[str]:
        line = f"level {level.level}: {level.nodes[0]:,} nodes in A, {level.nodes[1]:,} in B"
        if level.rand is not None:
            line += f"; adjusted Rand index {level.rand:.3f}"
        if level.same is not None:
            line += (f"; {level.same:,} nodes {'compared' if self.shared is None else 'above the same captions'}, "
                     f"{level.rewritten:,} with another summary")
        if level.embedding is not None:
            line += f", embeddings differ by at most {level.embedding:.3g}"
        return [line, *(f"  {left!r} in A, {right!r} in B" for left, right in level.examples)]


def diff_banks(a: str | Path, b: str | Path) -> Diff:
    """The differences of the banks in folders ``a`` and ``b``.  Raises UserError when one is not a valid bank."""
    left, right = load_bank(a), load_bank(b)
    info = {key: (left.info.get(key), right.info.get(key)) for key in {**left.info, **right.info}
            if left.info.get(key) != right.info.get(key)}
    depth = max(left.depth, right.depth)
    counts = tuple(None if bank.leaves is None else len(bank.leaves) for bank in (left, right))
    if None in counts:
        shared, only, by, ids = None, ((), ()), "number", (None, None)
    else:
        by, ids = _matched(left, right)
        shared = int(np.isin(*ids).sum())
        only = _examples(left, ids[0], ids[1]), _examples(right, ids[1], ids[0])
    levels = tuple(_level(left, right, number, ids) for number in range(1, depth + 1))
    return Diff((str(a), str(b)), not info and _same(left, right), info, (left.depth, right.depth), counts, shared,
                only, by, levels)


def _matched(left: Bank, right: Bank) -> tuple[str, tuple[np.ndarray, np.ndarray]]:
    """A number for every caption, [N_A] and [N_B]: equal where captions are the same.

    Of captions that a bank holds several times the first is the first of the other bank, and so on.
    """
    known = all(video for bank in (left, right) for video in bank.leaves.videos)
    numbers: dict[tuple, int] = {}

    def number(bank: Bank) -> np.ndarray:
        seen: dict[tuple, int] = defaultdict(int)
        found = []
        for video, sentence, text in zip(bank.leaves.videos, bank.leaves.sentences.tolist(), bank.leaves.texts,
                                         strict=True):
            key = (video, sentence, text) if known else (text,)
            found.append(numbers.setdefault((*key, seen[key]), len(numbers)))
            seen[key] += 1
        return np.asarray(found, np.int64)

    return "video, sentence and text" if known else "text", (number(left), number(right))


def _examples(bank: Bank, own: np.ndarray, others: np.ndarray) -> tuple[str, ...]:
    alone = np.flatnonzero(~np.isin(own, others))[:EXAMPLES]
    return tuple(f"{bank.leaves.texts[leaf]!r} [{origin_of(bank.leaves, leaf)}]" for leaf in alone.tolist())


def _level(left: Bank, right: Bank, number: int, ids: tuple[np.ndarray | None, np.ndarray | None]) -> LevelDiff:
    stages = [bank.levels[number - 1] if number <= bank.depth else None for bank in (left, right)]
    sizes = tuple(0 if stage is None else len(stage) for stage in stages)
    if 0 in sizes:
        return LevelDiff(number, sizes, None, None, None, (), None)
    if ids[0] is None:
        rand, pairs = None, [(node, node) for node in range(sizes[0])] if sizes[0] == sizes[1] else None
    else:
        rand = _rand((left.ancestors(number), right.ancestors(number)), ids)
        pairs = _pairs((left.leaves_by_node(number), right.leaves_by_node(number)), ids)
    if pairs is None:
        return LevelDiff(number, sizes, rand, None, None, (), None)
    return LevelDiff(number, sizes, rand, len(pairs), *_rewritten(*stages, pairs), _distance(*stages, pairs))


def _rand(above: Sequence[np.ndarray], ids: Sequence[np.ndarray]) -> float | None:
    from sklearn.metrics import adjusted_rand_score

    shared, *places = np.intersect1d(*ids, assume_unique=True, return_indices=True)
    if not len(shared):
        return None
    return float(adjusted_rand_score(above[0][places[0]], above[1][places[1]]))


def _pairs(nodes: Sequence[list[np.ndarray]], ids: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Nodes of A and B above the same captions, from the leaves of each."""
    found = [{np.sort(numbers[leaves]).tobytes(): node for node, leaves in enumerate(below)}
             for below, numbers in zip(nodes, ids, strict=True)]
    return [(node, found[1][key]) for key, node in found[0].items() if key in found[1]]


def _rewritten(left: Level, right: Level, pairs: list[tuple[int, int]]) -> tuple[int, tuple[tuple[str, str], ...]]:
    different = [(left.texts[a], right.texts[b]) for a, b in pairs if left.texts[a] != right.texts[b]]
    return len(different), tuple(different[:EXAMPLES])


def _distance(left: Level, right: Level, pairs: list[tuple[int, int]]) -> float | None:
    if not pairs or left.embeddings.shape[1] != right.embeddings.shape[1]:
        return None
    a, b = np.asarray(pairs).T
    return float(np.abs(left.embeddings[a].astype(np.float64) - right.embeddings[b]).max())


def _cut(value: Any, width: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[:width - 4]} ..."


def _same(left: Bank, right: Bank) -> bool:
    """Whether everything but the info agrees."""
    def equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
        return a is b or (a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b))

    if left.depth != right.depth or (left.leaves is None) != (right.leaves is None):
        return False
    a, b = left.leaves, right.leaves
    if a is not None and not ((a.texts, a.videos) == (b.texts, b.videos) and equal(a.sentences, b.sentences)
                              and equal(a.embeddings, b.embeddings)):
        return False
    return all(x.texts == y.texts and equal(x.embeddings, y.embeddings) and equal(x.authors, y.authors)
               and all(map(equal, x.children, y.children)) for x, y in zip(left.levels, right.levels, strict=True))
