"""How two memory banks differ: origin, captions, partitions, summaries, embeddings.

Two captions are the same when video, sentence number and text agree, or the text alone where one bank does not know the
videos.  Two nodes are the same when they are on the same level, above the same captions.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.memory.bank import Bank, Leaves, Level, load_bank
from hicm.memory.show import origin_of

EXAMPLES = 5
Pair = tuple[np.ndarray, np.ndarray]  # one array of bank A, one of bank B


@dataclass(frozen=True)
class LevelDiff:
    """One level of two banks, 1 = finest; None: not comparable."""

    level: int
    nodes: tuple[int, int]
    rand: float | None  # adjusted Rand index of the two partitions of the shared captions; 1: the same
    same: int | None  # nodes above the same captions
    rewritten: int | None  # of these, nodes whose summaries differ
    examples: tuple[tuple[str, str], ...]  # summaries that differ, in A and in B
    embedding: float | None  # largest absolute difference between embedding entries of these nodes


@dataclass(frozen=True)
class Diff:
    """The differences of two banks; ``str()`` gives text, `to_json` plain data.  A is the first bank, B the second."""

    names: tuple[str, str]
    identical: bool
    info: dict[str, tuple[Any, Any]]  # entries of their info that differ
    depths: tuple[int, int]
    captions: tuple[int | None, int | None]  # None: not stored
    shared: int | None  # captions in both
    only: tuple[tuple[str, ...], tuple[str, ...]]  # examples of captions only in A, only in B
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
            return ["not both banks store captions; nodes are compared by their numbers"]
        lines = [f"captions: {self.captions[0]:,} in A, {self.captions[1]:,} in B, {self.shared:,} shared (same "
                 f"{self.matched_by})"]
        for name, total, examples in zip("AB", self.captions, self.only, strict=True):
            if total is not None and total > self.shared:
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
    """The differences between the banks in folders ``a`` and ``b``.  Raises UserError when one is not a valid bank."""
    left, right = load_bank(a), load_bank(b)
    info = {key: (left.info.get(key), right.info.get(key)) for key in {**left.info, **right.info}
            if left.info.get(key) != right.info.get(key)}
    shared: int | None = None
    only: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    by, ids = "number", None
    if left.leaves is not None and right.leaves is not None:
        by, ids = _matched(left.leaves, right.leaves)
        shared = int(np.isin(*ids).sum())
        only = _examples(left.leaves, ids[0], ids[1]), _examples(right.leaves, ids[1], ids[0])
    levels = tuple(_level(left, right, number, ids) for number in range(1, max(left.depth, right.depth) + 1))
    return Diff((str(a), str(b)), not info and _same(left, right), info, (left.depth, right.depth),
                (_caption_count(left), _caption_count(right)), shared, only, by, levels)


def _caption_count(bank: Bank) -> int | None:
    return None if bank.leaves is None else len(bank.leaves)


def _matched(left: Leaves, right: Leaves) -> tuple[str, Pair]:
    """By what captions are matched, and a number for every caption, [N_A] and [N_B]: equal where they are the same.

    Where a caption occurs several times, its first occurrence in A matches the first in B, and so on.
    """
    known = all(video for leaves in (left, right) for video in leaves.videos)
    numbers: dict[tuple, int] = {}

    def number(leaves: Leaves) -> np.ndarray:
        seen: dict[tuple, int] = defaultdict(int)
        found = []
        for video, sentence, text in zip(leaves.videos, leaves.sentences.tolist(), leaves.texts, strict=True):
            key = (video, sentence, text) if known else (text,)
            found.append(numbers.setdefault((*key, seen[key]), len(numbers)))
            seen[key] += 1
        return np.asarray(found, np.int64)

    return "video, sentence and text" if known else "text", (number(left), number(right))


def _examples(leaves: Leaves, own: np.ndarray, others: np.ndarray) -> tuple[str, ...]:
    alone = np.flatnonzero(~np.isin(own, others))[:EXAMPLES]
    return tuple(f"{leaves.texts[leaf]!r} [{origin_of(leaves, leaf)}]" for leaf in alone.tolist())


def _level(left: Bank, right: Bank, number: int, ids: Pair | None) -> LevelDiff:
    if number > min(left.depth, right.depth):
        sizes = tuple(len(bank.level(number)) if number <= bank.depth else 0 for bank in (left, right))
        return LevelDiff(number, (sizes[0], sizes[1]), None, None, None, (), None)
    a, b = left.level(number), right.level(number)
    rand: float | None = None
    pairs: list[tuple[int, int]] | None = None
    if ids is not None:
        rand = _rand((left.ancestors(number), right.ancestors(number)), ids)
        pairs = _pairs((left.leaves_by_node(number), right.leaves_by_node(number)), ids)
    elif len(a) == len(b):
        pairs = [(node, node) for node in range(len(a))]
    if pairs is None:
        return LevelDiff(number, (len(a), len(b)), rand, None, None, (), None)
    rewritten, examples = _rewritten(a, b, pairs)
    return LevelDiff(number, (len(a), len(b)), rand, len(pairs), rewritten, examples, _distance(a, b, pairs))


def _rand(above: Pair, ids: Pair) -> float | None:
    """Adjusted Rand index of two partitions of the shared captions; None when no caption is shared."""
    from sklearn.metrics import adjusted_rand_score

    shared, *places = np.intersect1d(ids[0], ids[1], assume_unique=True, return_indices=True)
    if not len(shared):
        return None
    return float(adjusted_rand_score(above[0][places[0]], above[1][places[1]]))


def _pairs(nodes: Sequence[list[np.ndarray]], ids: Pair) -> list[tuple[int, int]]:
    """Nodes of A and B above the same captions, given the leaves of each node."""
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

    a, b = left.leaves, right.leaves
    if left.depth != right.depth or (a is None) != (b is None):
        return False
    if a is not None and b is not None and not (
            (a.texts, a.videos) == (b.texts, b.videos) and equal(a.sentences, b.sentences)
            and equal(a.embeddings, b.embeddings)):
        return False
    return all(x.texts == y.texts and equal(x.embeddings, y.embeddings) and equal(x.authors, y.authors)
               and all(map(equal, x.children, y.children)) for x, y in zip(left.levels, right.levels, strict=True))
