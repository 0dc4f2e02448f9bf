"""The memory bank: a tree of sentences with embeddings, and its two files.

    level P (coarsest, "top")   few nodes, each a summary of its children
    ...                         children(l, c) = nodes of level l - 1
    level 1 (finest)            children(1, c) = leaves
    leaves                      the captions themselves, each with the video it comes from

Shapes: n_l nodes at level l, N leaves, D embedding width.  Levels are counted from 1, nodes and leaves from 0.
A bank folder holds ``bank.npz`` (the arrays) and ``bank.json`` (the texts, how the bank was made, and the hash of the
arrays it belongs to).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hicm.arrays import read_npz
from hicm.errors import UserError, brief
from hicm.files import atomic, copy_file, plain, read_json, require, sha256, write_json

FORMAT = 1
ARRAYS, TEXTS = "bank.npz", "bank.json"
OWN = "bank"  # the folder of a run's own copy


@dataclass(frozen=True, eq=False)
class Level:
    """The n nodes of one level: their summaries, the embeddings of these, and their children."""

    texts: tuple[str, ...]
    embeddings: np.ndarray  # [n, D] float32 or float16, not normalised
    children: tuple[np.ndarray, ...]  # n int64 arrays of ids in the level below (level 1: leaf ids), in tree order
    authors: np.ndarray  # [n] int64, the leaf whose caption the summary quotes; -1: written from all leaves below

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def parents(self) -> np.ndarray:
        """The node of this level above each node of the level below (level 1: above each leaf), int64."""
        parents = np.full(sum(map(len, self.children)), -1)
        for node, children in enumerate(self.children):
            parents[children] = node
        return parents


@dataclass(frozen=True, eq=False)
class Leaves:
    """The N captions the bank was built from, in file order, duplicates kept."""

    texts: tuple[str, ...]
    embeddings: np.ndarray | None  # [N, D]; None when the source of the bank did not keep them
    videos: tuple[str, ...]  # video id of each caption
    sentences: np.ndarray  # [N] int64, index of the caption within its video

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, eq=False)
class Bank:
    """A hierarchical memory; ``levels[0]`` is level 1, the finest.

    ``leaves`` is None for a bank whose captions are unknown; the nodes of level 1 then have no children.  ``info`` says
    how the bank was made (encoder, summariser, sources, clustering), as plain data.
    """

    levels: tuple[Level, ...]
    leaves: Leaves | None = None
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Embedding width D."""
        return self.levels[0].embeddings.shape[1]

    @property
    def depth(self) -> int:
        """Number of levels P; level P is the top."""
        return len(self.levels)

    def level(self, number: int) -> Level:
        """Level ``number``, from 1 (finest) to P (coarsest).  Raises UserError when there is no such level."""
        if not 1 <= number <= self.depth:
            raise UserError(f"memory bank: level {number} does not exist; it has levels 1 (finest) to {self.depth}")
        return self.levels[number - 1]

    def texts(self, number: int) -> tuple[str, ...]:
        """The summaries of a level; of level 0, the captions (empty when the bank does not hold them)."""
        if number:
            return self.level(number).texts
        return () if self.leaves is None else self.leaves.texts

    @cached_property
    def sizes(self) -> list[np.ndarray]:
        """Captions under each node (without captions: finest nodes), by level; level 0 are the captions themselves."""
        sizes = [np.ones(len(self.texts(0)), np.int64)]
        for level in self.levels:
            sizes.append(np.asarray([max(sizes[-1][ids].sum(), 1) for ids in level.children]))
        return sizes

    @cached_property
    def _ancestors(self) -> list[np.ndarray]:
        """Per level, the node above each leaf [N]."""
        count = 0 if self.leaves is None else len(self.leaves)
        below, found = np.arange(count), []
        for level in self.levels:
            below = level.parents[below]
            found.append(below)
        return found

    def ancestors(self, number: int) -> np.ndarray:
        """The node of level ``number`` above each leaf, int64 [N]."""
        self.level(number)
        return self._ancestors[number - 1]

    def leaves_of(self, number: int, node: int) -> np.ndarray:
        """Ids of all leaves under a node, ascending."""
        return np.flatnonzero(self.ancestors(number) == node)

    def leaves_by_node(self, number: int) -> list[np.ndarray]:
        """`leaves_of` for every node of a level; empty arrays when the bank holds no captions."""
        return grouped(self.ancestors(number), len(self.level(number)))

    def validate(self, where: str | Path = "memory bank") -> "Bank":
        """Return this bank.  Raises UserError naming the level and node that break the rules above."""
        if not self.levels:
            raise UserError(f"{where}: no levels; a bank has at least one")
        if self.levels[0].embeddings.ndim != 2:
            raise UserError(f"{where}: level 1: embeddings have shape {list(self.levels[0].embeddings.shape)}, "
                            "expected [nodes, width]")
        for number in range(self.depth + 1):
            _check_texts(self.texts(number), f"{where}: {f'level {number}' if number else 'captions'}")
        if self.leaves is not None:
            _check_texts(self.leaves.videos, f"{where}: videos")
            _check_leaves(self.leaves, self.width, where)
        below = 0 if self.leaves is None else len(self.leaves)
        for number, level in enumerate(self.levels, start=1):
            _check_level(level, number, self.width, below, self.leaves is not None, where)
            below = len(level)
        if self.leaves is not None:
            for number, level in enumerate(self.levels, start=1):
                _check_authors(level, number, self.ancestors(number), where)
        return self


def grouped(labels: np.ndarray, count: int) -> list[np.ndarray]:
    """Of labels [N] from 0 to ``count`` - 1, the places of each, ascending."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, count)))


def save_bank(bank: Bank, folder: str | Path) -> Path:
    """Write ``bank.npz`` and ``bank.json`` into ``folder``; each replaces its old version atomically.

    Equal banks give equal bytes.  Raises UserError when the bank is not valid or the folder cannot be written.
    """
    folder = Path(folder)
    bank.validate(folder)
    arrays: dict[str, Any] = {}
    for number, level in enumerate(bank.levels, start=1):
        lengths = [len(children) for children in level.children]
        arrays[f"level_{number}_embeddings"] = level.embeddings
        arrays[f"level_{number}_starts"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        arrays[f"level_{number}_children"] = np.concatenate([*level.children, []]).astype(np.int64)
        arrays[f"level_{number}_authors"] = np.asarray(level.authors, np.int64)
    leaves = None
    if bank.leaves is not None:
        arrays["leaf_sentences"] = np.asarray(bank.leaves.sentences, np.int64)
        if bank.leaves.embeddings is not None:
            arrays["leaf_embeddings"] = bank.leaves.embeddings
        leaves = {"texts": list(bank.leaves.texts), "videos": list(bank.leaves.videos)}
    with atomic(folder / ARRAYS) as temporary:
        np.savez(temporary, **arrays)
        digest = sha256(temporary)
    write_json(folder / TEXTS, {"format": FORMAT, "arrays_sha256": digest, "info": bank.info,
                                "levels": [list(level.texts) for level in bank.levels], "leaves": leaves})
    return folder


def store_bank(bank: Bank, folder: str | Path, overwrite: bool = False) -> Path:
    """`save_bank`, unless the folder already holds a bank with the same ``info``; returns the folder.

    Raises UserError when it holds another one (unless ``overwrite``).
    """
    folder = Path(folder)
    if (folder / TEXTS).exists() and not overwrite:
        if read_bank_json(folder)["info"] == plain(bank.info):
            return folder
        raise UserError(f"{folder}: holds another memory bank; choose another folder, or replace it with --overwrite")
    return save_bank(bank, folder)


def load_bank(folder: str | Path) -> Bank:
    """The bank in a folder, validated.

    Raises UserError when a file is missing or damaged, when the two files do not belong together, or when the tree is
    broken.
    """
    folder = Path(folder)
    remedy = "build it with 'hicm memory build', or correct memory.path"
    content = read_bank_json(require(folder / TEXTS, "memory bank", remedy).parent)
    path = require(folder / ARRAYS, "the bank's arrays", "build the bank again")
    if sha256(path) != content["arrays_sha256"]:
        raise UserError(f"{path}: does not belong to the {TEXTS} beside it (interrupted write or damaged copy); "
                        "build or copy the bank again")
    try:
        arrays = read_npz(path)
        levels = tuple(_level(arrays, number, texts) for number, texts in enumerate(content["levels"], start=1))
        leaves = None
        if content["leaves"] is not None:
            leaves = Leaves(tuple(content["leaves"]["texts"]), arrays.get("leaf_embeddings"),
                            tuple(content["leaves"]["videos"]), _numbers(arrays, "leaf_sentences"))
            _refuse_non_text(leaves.texts, leaves.videos)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: not a memory bank of format {FORMAT} ({error}); build the bank again") from error
    return Bank(levels, leaves, content["info"]).validate(folder)


def read_bank_json(folder: str | Path) -> dict[str, Any]:
    """``bank.json`` alone (texts, info, hash of the arrays).  Raises UserError when it is not one of ours."""
    path = Path(folder) / TEXTS
    content = read_json(path, "memory bank")
    known = {"format", "arrays_sha256", "info", "levels", "leaves"}
    if not isinstance(content, dict) or not known <= content.keys() or content["format"] != FORMAT:
        raise UserError(f"{path}: not a memory bank of format {FORMAT}; build the bank again")
    return content


def copy_bank(source: str | Path, target: str | Path) -> Path:
    """Copy a bank folder; files that are equal already are left alone.  UserError when there is no bank to copy."""
    for name in (ARRAYS, TEXTS):
        copy_file(require(Path(source) / name, "memory bank", "build it with `hicm memory build`"), Path(target) / name)
    return Path(target)


def bank_hash(folder: str | Path) -> str:
    """Hash of everything in a bank folder (the json holds the hash of the arrays)."""
    return sha256(require(Path(folder) / TEXTS, "memory bank", "build it with 'hicm memory build'"))


def _level(arrays: dict[str, np.ndarray], number: int, texts: list[str]) -> Level:
    _refuse_non_text(texts)
    starts, index = _numbers(arrays, f"level_{number}_starts"), _numbers(arrays, f"level_{number}_children")
    if not len(starts) or starts[0] != 0 or starts[-1] != len(index) or (np.diff(starts) < 0).any():
        raise ValueError(f"level_{number}_starts does not divide the {len(index)} children")
    children = tuple(index[start:end] for start, end in itertools.pairwise(starts))
    return Level(tuple(texts), arrays[f"level_{number}_embeddings"], children,
                 _numbers(arrays, f"level_{number}_authors"))


def _numbers(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    if arrays[name].ndim != 1 or arrays[name].dtype != np.int64:
        raise ValueError(f"{name} is no list of whole numbers")
    return arrays[name]


def _refuse_non_text(*lists: Sequence[Any]) -> None:
    for text in itertools.chain(*lists):
        if not isinstance(text, str):
            raise ValueError(f"{brief(text)} in the place of a text")


def _check_embeddings(embeddings: np.ndarray, rows: int, width: int, what: str) -> None:
    if embeddings.shape != (rows, width):
        raise UserError(f"{what}: embeddings have shape {list(embeddings.shape)}, expected [{rows}, {width}]")
    if embeddings.dtype not in (np.float32, np.float16):
        raise UserError(f"{what}: embeddings are {embeddings.dtype}, expected float32 or float16")
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise UserError(f"{what}, row {int(np.argmin(finite))}: the embedding is not finite; encode again")


def _check_texts(texts: tuple[str, ...], what: str) -> None:
    for row, text in enumerate(texts):
        try:
            text.encode()
        except (AttributeError, UnicodeEncodeError):
            raise UserError(f"{what}, row {row}: {text!r} is no text that a file can hold (half an emoji, a lone "
                            "surrogate); correct it") from None


def _check_leaves(leaves: Leaves, width: int, where: str | Path) -> None:
    if not len(leaves.texts) == len(leaves.videos) == len(leaves.sentences):
        raise UserError(f"{where}: leaves: {len(leaves.texts)} texts, {len(leaves.videos)} video ids and "
                        f"{len(leaves.sentences)} sentence numbers; expected equal counts")
    if leaves.embeddings is not None:
        _check_embeddings(leaves.embeddings, len(leaves), width, f"{where}: leaves")


def _check_level(level: Level, number: int, width: int, below: int, rooted: bool, where: str | Path) -> None:
    what = f"{where}: level {number}"
    if not len(level):
        raise UserError(f"{what}: no nodes; every level has at least one")
    _check_embeddings(level.embeddings, len(level), width, what)
    if not len(level.texts) == len(level.children) == len(level.authors):
        raise UserError(f"{what}: {len(level.texts)} texts, {len(level.children)} lists of children and "
                        f"{len(level.authors)} authors; expected equal counts")
    if number == 1 and not rooted:
        if any(map(len, level.children)):
            raise UserError(f"{what}: nodes have children, but the bank holds no captions")
        return
    seen = np.full(below, -1)
    for node, children in enumerate(level.children):
        if not len(children):
            raise UserError(f"{what}, node {node}: no children; every node needs at least one")
        for child in children:
            if not 0 <= child < below:
                raise UserError(f"{what}, node {node}: child {child} does not exist (the level below has {below})")
            if seen[child] >= 0:
                raise UserError(f"{what}, node {node}: child {child} is also a child of node {seen[child]}")
            seen[child] = node
    if (seen < 0).any():
        raise UserError(f"{what}: node {int(np.argmin(seen))} of the level below has no parent; the tree is incomplete")


def _check_authors(level: Level, number: int, ancestors: np.ndarray, where: str | Path) -> None:
    for node, author in enumerate(level.authors):
        if author != -1 and not (0 <= author < len(ancestors) and ancestors[author] == node):
            raise UserError(f"{where}: level {number}, node {node}: its author, leaf {author}, is not below it")
