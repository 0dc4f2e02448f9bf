"""Several memory banks merged into one: their trees side by side, numbered as one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.memory.bank import Bank, Leaves, Level, bank_hash, load_bank, plain, store_bank


def merge_banks(folders: Sequence[str | Path], out: str | Path, overwrite: bool = False, force: bool = False) -> Path:
    """Write the banks in ``folders`` as one bank into ``out``; returns ``out``.

    Nodes and captions keep their order, those of the first bank first.  A bank with fewer levels is extended upwards
    by copies of its top nodes.  Embeddings of captions are kept if all banks hold them; embeddings are float32 as soon
    as those of one bank are.  Does nothing when ``out`` already holds this merge.

    Raises UserError when there are fewer than two banks, when a bank is named twice, when they differ in width or
    encoder (``force`` allows different encoders, for users who know that they share a space), when some hold captions
    and others do not, or when ``out`` holds another bank (unless ``overwrite``).
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise UserError(f"{len(paths)} bank to merge; name two or more")
    hashes = [bank_hash(path) for path in paths]
    for later, digest in enumerate(hashes):
        if digest in hashes[:later]:
            raise UserError(f"{paths[later]}: the same bank as {paths[hashes.index(digest)]}; name each once")
    banks = [load_bank(path) for path in paths]
    for path, bank in zip(paths[1:], banks[1:], strict=True):
        _check(paths[0], banks[0], path, bank, force)
    depth, kind = max(bank.depth for bank in banks), np.result_type(*(bank.levels[0].embeddings for bank in banks))
    leaves, levels = [_leaf_count(bank) for bank in banks], [_extended(bank, depth) for bank in banks]
    below, joined = leaves, []
    for stage in zip(*levels, strict=True):
        joined.append(_join_levels(stage, below, leaves, kind))
        below = [len(level) for level in stage]
    return store_bank(Bank(tuple(joined), _join_leaves(banks, kind), _info(paths, banks, hashes)), out, overwrite)


def _check(first_folder: Path, first: Bank, folder: Path, bank: Bank, force: bool) -> None:
    """Raise UserError when another bank cannot be merged with the first one."""
    if bank.width != first.width:
        raise UserError(f"{folder}: embeddings are {bank.width} wide, those of {first_folder} {first.width}; build "
                        "both with the same encoder")
    names = [str(each.info.get("encoder", "unknown")) for each in (first, bank)]
    if not force and (names[0] != names[1] or names[0] == "unknown"):
        raise UserError(f"{folder}: its encoder is {names[1]}, that of {first_folder} {names[0]}; build both with the "
                        "same encoder, or use --force if you know that they share a space")
    if (bank.leaves is None) != (first.leaves is None):
        without, with_them = (folder, first_folder) if bank.leaves is None else (first_folder, folder)
        raise UserError(f"{without}: holds no captions, unlike {with_them}; import it from a file with "
                        "sentence indices")


def _leaf_count(bank: Bank) -> int:
    return 0 if bank.leaves is None else len(bank.leaves)


def _extended(bank: Bank, depth: int) -> list[Level]:
    """The bank's levels, then copies of the top one up to ``depth``, whose nodes have the one below as only child."""
    top = bank.levels[-1]
    copy = replace(top, children=tuple(np.arange(len(top))[:, None]))
    return [*bank.levels, *[copy] * (depth - bank.depth)]


def _join_levels(levels: Sequence[Level], below: Sequence[int], leaves: Sequence[int], kind: np.dtype) -> Level:
    """One level of all banks.  ``below``: how many nodes each bank has in the level below; ``leaves``: captions."""
    starts, first_leaves = (np.cumsum([0, *counts[:-1]]) for counts in (below, leaves))
    children = tuple(ids + start for level, start in zip(levels, starts, strict=True) for ids in level.children)
    authors = [np.where(level.authors >= 0, level.authors + first, -1)
               for level, first in zip(levels, first_leaves, strict=True)]
    return Level(tuple(text for level in levels for text in level.texts),
                 np.concatenate([level.embeddings for level in levels]).astype(kind, copy=False), children,
                 np.concatenate(authors))


def _join_leaves(banks: Sequence[Bank], kind: np.dtype) -> Leaves | None:
    parts = [bank.leaves for bank in banks if bank.leaves is not None]
    if len(parts) < len(banks):
        return None
    embeddings = [part.embeddings for part in parts if part.embeddings is not None]
    return Leaves(tuple(text for part in parts for text in part.texts),
                  np.concatenate(embeddings).astype(kind, copy=False) if len(embeddings) == len(parts) else None,
                  tuple(video for part in parts for video in part.videos),
                  np.concatenate([part.sentences for part in parts]))


def _info(folders: Sequence[Path], banks: Sequence[Bank], hashes: Sequence[str]) -> dict[str, Any]:
    def names(key: str) -> list[str]:
        return list(dict.fromkeys(str(bank.info.get(key, "unknown")) for bank in banks))

    sources = [source for bank in banks for source in bank.info.get("sources", ["unknown"])]
    return plain({"encoder": ", ".join(names("encoder")), "summariser": ", ".join(names("summariser")),
                  "sources": list(dict.fromkeys(sources)), "captions": sum(map(_leaf_count, banks)),
                  "merged": [{"name": folder.resolve().name, "sha256": digest}
                             for folder, digest in zip(folders, hashes, strict=True)]})
