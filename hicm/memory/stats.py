"""Statistics of a memory bank: its tree, its captions, its summaries, and how well nodes match their captions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hicm.memory.bank import Bank, load_bank

LONG = 20  # words; the published prompt allows no more
CHUNK = 1 << 14  # pairs of embeddings compared at once


@dataclass(frozen=True)
class LevelStats:
    """One level, 1 = finest.  Shares and cosines are fractions; None: the bank does not hold what is needed."""

    level: int
    nodes: int
    children_median: float | None  # children per node; None at level 1 of a bank without captions
    children_mean: float | None
    children_most: int | None
    single: float | None  # share of nodes with one child
    words_median: float  # per summary
    words_most: int
    repeated: int  # summaries that an earlier node of the level also has
    long: float  # share of summaries of more than 20 words
    quoted: float | None  # share of summaries that quote some caption word for word
    cosine: float | None  # mean over captions (or nodes one level down) of the cosine to the node above
    cosine_random: float | None  # the same with the nodes assigned at random

    @property
    def coherence(self) -> float | None:
        """How much closer captions are to their own node than to a random one."""
        return None if self.cosine is None or self.cosine_random is None else self.cosine - self.cosine_random


@dataclass(frozen=True)
class Stats:
    """The statistics of a bank; ``str()`` gives tables, `to_json` plain data."""

    bank: str
    encoder: str
    summariser: str
    width: int
    dtype: str
    depth: int
    captions: int | None  # None: not stored
    videos: int | None  # None: unknown
    repeated_captions: int | None  # captions equal to an earlier one, word for word
    compared: str  # what nodes are compared with: "captions" or "children"
    levels: tuple[LevelStats, ...]  # fine to coarse
    summaries: dict[str, Any] = field(default_factory=dict)  # how the summaries came about, from the bank's info

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        levels = [{**asdict(level), "coherence": level.coherence} for level in self.levels]
        return {**asdict(self), "levels": levels}

    def __str__(self) -> str:
        return "\n".join([*self._head(), "", *self._tree(), "", *self._texts(), "", *self._cosines(), *self._written()])

    def _head(self) -> list[str]:
        captions = "not stored"
        if self.captions is not None:
            videos = "unknown" if self.videos is None else f"{self.videos:,}"
            captions = f"{self.captions:,} of {videos} videos, {self.repeated_captions:,} repeated word for word"
        return [self.bank, f"encoder     {self.encoder} ({self.width} wide, {self.dtype})",
                f"summaries   by {self.summariser}", f"captions    {captions}", f"levels      {self.depth}"]

    def _tree(self) -> list[str]:
        return _table(("level", "nodes", "children: median", "mean", "most", "single child"),
                      [(str(x.level), f"{x.nodes:,}", _number(x.children_median, "g"), _number(x.children_mean, ".1f"),
                        _number(x.children_most, ",d"), _number(x.single, ".0%")) for x in reversed(self.levels)])

    def _texts(self) -> list[str]:
        return _table(("level", "words: median", "most", f"over {LONG}", "repeated", "word for word a caption"),
                      [(str(x.level), f"{x.words_median:g}", f"{x.words_most}", f"{x.long:.0%}", f"{x.repeated:,}",
                        _number(x.quoted, ".0%")) for x in reversed(self.levels)])

    def _cosines(self) -> list[str]:
        note = [] if self.compared == "captions" else [
            "the captions' embeddings are not stored: cosines are to the nodes one level down"]
        return note + _table(("level", f"cosine to own {self.compared}", "to random ones", "difference"),
                             [(str(x.level), *(_number(value, ".3f")
                                               for value in (x.cosine, x.cosine_random, x.coherence)))
                              for x in reversed(self.levels)])

    def _written(self) -> list[str]:
        return ["", "how the summaries came about: " + ", ".join(_counts(self.summaries))] if self.summaries else []


def bank_stats(folder: str | Path, seed: int = 0) -> Stats:
    """Statistics of the bank in a folder; ``seed`` draws the random nodes of the comparison.

    Raises UserError when there is no valid bank.
    """
    bank = load_bank(folder)
    leaves, info = bank.leaves, bank.info
    embedded = leaves is not None and leaves.embeddings is not None
    captions = None if leaves is None else set(leaves.texts)
    videos = set() if leaves is None else set(leaves.videos) - {""}
    summaries = info.get("summaries")
    return Stats(str(folder), str(info.get("encoder", "unknown")), str(info.get("summariser", "unknown")), bank.width,
                 str(bank.levels[0].embeddings.dtype), bank.depth, None if leaves is None else len(leaves),
                 len(videos) or None, None if captions is None or leaves is None else len(leaves) - len(captions),
                 "captions" if embedded else "children",
                 tuple(_level(bank, number, captions, np.random.default_rng((seed, number)))
                       for number in range(1, bank.depth + 1)),
                 summaries if isinstance(summaries, dict) else {})


def _level(bank: Bank, number: int, captions: set[str] | None, draw: np.random.Generator) -> LevelStats:
    level = bank.level(number)
    below = np.asarray([len(ids) for ids in level.children])
    words = np.asarray([len(text.split()) for text in level.texts])
    rooted = bool(below.any())
    cosine, at_random = _cosines(bank, number, draw)
    return LevelStats(
        number, len(level), float(np.median(below)) if rooted else None, float(below.mean()) if rooted else None,
        int(below.max()) if rooted else None, float((below == 1).mean()) if rooted else None,
        float(np.median(words)), int(words.max()), len(level) - len(set(level.texts)), float((words > LONG).mean()),
        None if captions is None else float(np.mean([text in captions for text in level.texts])), cosine, at_random)


def _cosines(bank: Bank, number: int, draw: np.random.Generator) -> tuple[float | None, float | None]:
    """Mean cosine of captions (without their embeddings: of the nodes below) to their own node, and to a random one."""
    level = bank.level(number)
    if bank.leaves is not None and bank.leaves.embeddings is not None:
        below, above = bank.leaves.embeddings, bank.ancestors(number)
    elif number > 1:
        below, above = bank.level(number - 1).embeddings, level.parents
    else:
        return None, None
    return (_mean_cosine(below, level.embeddings, above),
            _mean_cosine(below, level.embeddings, above[draw.permutation(len(above))]))


def _mean_cosine(left: np.ndarray, right: np.ndarray, partner: np.ndarray) -> float:
    """Mean over the rows of ``left`` [N, D] of the cosine to the row ``partner`` [N] of ``right`` [n, D]."""
    left_norms, right_norms = _norms(left), _norms(right)
    total = 0.0
    for start in range(0, len(left), CHUNK):
        rows = slice(start, start + CHUNK)
        products = np.einsum("nd,nd->n", left[rows].astype(np.float32), right[partner[rows]].astype(np.float32))
        total += float((products / left_norms[rows] / right_norms[partner[rows]]).sum(dtype=np.float64))
    return total / len(left)


def _norms(matrix: np.ndarray) -> np.ndarray:
    """L2 norms [n] of rows; 1 in place of 0, so that a zero row has cosine 0."""
    norms = np.linalg.norm(matrix.astype(np.float32), axis=1)
    return np.where(norms > 0, norms, 1)


def _counts(content: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in content.items():
        found += _counts(value, f"{prefix}{key}: ") if isinstance(value, dict) else [f"{prefix}{key} {value}"]
    return found


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
