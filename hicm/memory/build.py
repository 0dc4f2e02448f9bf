"""Captions to memory bank: encode, cluster, summarise level by level, save.

A killed build continues: embeddings and partitions are kept in the bank's folder until the bank is written, a language
model's answers for good.
"""

import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import Config
from hicm.encoders import Encoder, make_encoder
from hicm.errors import UserError
from hicm.files import sha256
from hicm.memory.bank import TEXTS, Bank, Leaves, Level, plain, read_bank_json, save_bank
from hicm.memory.cached_arrays import cached_arrays
from hicm.memory.captions import Captions, read_captions
from hicm.memory.hierarchies import describe_hierarchy, partitions
from hicm.memory.summarisers import make_summariser
from hicm.memory.summarisers.journal import key_of
from hicm.memory.summarisers.node import Members, Summariser, Summary

EMBEDDINGS, PARTITIONS = "embeddings.npz", "partitions.npz"  # of a build under way
OUTCOMES = ("summaries", "neighbour_agreement")  # in a bank's info, but no setting


def build_memory(config: Config, overwrite: bool = False) -> Path:
    """Build the bank that ``config`` describes and return its folder, ``config.bank``.

    Does nothing when the folder holds a bank of these settings and captions already.  Raises UserError when it
    holds another one (unless ``overwrite``), when a caption is blank, or when encoder or language model fail.
    """
    folder = config.bank
    encoder = make_encoder(config.memory.encoder, config.offline)
    summariser = make_summariser(config.memory.summariser, config.summary, folder, config.offline)
    captions = read_captions(config)
    info = _describe(config, encoder, summariser, captions)
    if (folder / TEXTS).exists() and not overwrite and _is_same(folder, info):
        return folder
    tree = plant_tree(config, encoder, captions)
    levels, summaries = summarise_tree(tree, summariser, encoder)
    info |= _count(summaries) | ({} if tree.agreement is None else {"neighbour_agreement": tree.agreement})
    save_bank(Bank(levels, tree.leaves, info), folder)
    clear_up(folder)
    _warn_of_fallbacks(info, len(summaries))
    return folder


@dataclass(frozen=True, eq=False)
class Tree:
    """Captions with their place in the tree: a bank that has no summaries yet."""

    leaves: Leaves
    labels: np.ndarray  # int64 [N, P], finest partition first
    agreement: float | None  # share of exact among approximate neighbours; None: all are exact


def plant_tree(config: Config, encoder: Encoder, captions: Captions) -> Tree:
    """Embed and cluster the captions, or take up what an interrupted build has left in the bank's folder."""
    texts_key = key_of(encoder.name, captions.texts)
    encoded = cached_arrays(config.bank / EMBEDDINGS, texts_key,
                            lambda: {"embeddings": _encode(encoder, captions.texts)})
    embeddings = encoded["embeddings"]

    def clustered() -> dict[str, np.ndarray]:
        labels, agreement = partitions(embeddings, config.memory)
        return {"labels": labels, "agreement": np.float64(np.nan if agreement is None else agreement)}

    tree = cached_arrays(config.bank / PARTITIONS, key_of(texts_key, describe_hierarchy(config.memory)), clustered)
    agreement = float(tree["agreement"])
    return Tree(Leaves(captions.texts, embeddings, captions.videos, captions.sentences), tree["labels"],
                None if np.isnan(agreement) else agreement)


def summarise_tree(tree: Tree, summariser: Summariser, encoder: Encoder) -> tuple[tuple[Level, ...], list[Summary]]:
    """Levels 1 .. P, and every node's summary; a node with one child keeps that child's text."""
    texts, embeddings, authors = tree.leaves.texts, tree.leaves.embeddings, np.arange(len(tree.leaves))
    below, sizes = np.arange(len(tree.leaves)), np.ones(len(tree.leaves))
    levels, all_summaries = [], []
    for number, labels in enumerate(tree.labels.T, start=1):
        children = _children(below, labels)
        nodes = [Members(number, node, tuple(texts[child] for child in ids), embeddings[ids], sizes[ids])
                 for node, ids in enumerate(children)]
        several = [node for node in nodes if len(node.texts) > 1]
        written = dict(zip((node.node for node in several), summariser.summarise(several), strict=True))
        summaries = [written.get(node.node, Summary(node.texts[0], node.embeddings[0], 0)) for node in nodes]
        authors = np.asarray([-1 if summary.author is None else authors[ids[summary.author]]
                              for summary, ids in zip(summaries, children, strict=True)])
        texts, embeddings = tuple(summary.text for summary in summaries), _embeddings(summaries, encoder)
        levels.append(Level(texts, embeddings, children, authors))
        all_summaries += summaries
        below, sizes = labels, np.bincount(labels).astype(float)
    return tuple(levels), all_summaries


def clear_up(folder: Path) -> None:
    """Remove what a build under way keeps."""
    for name in (EMBEDDINGS, PARTITIONS):
        (folder / name).unlink(missing_ok=True)


def _describe(config: Config, encoder: Encoder, summariser: Summariser, captions: Captions) -> dict[str, Any]:
    """What decides the bank, as plain data."""
    held_out = {"held_out": [config.data.holdout, config.data.holdout_seed]} if config.data.holdout else {}
    return plain({"encoder": encoder.name, "summariser": summariser.name, "sources": config.memory.source,
                  "captions": len(captions.texts),
                  "annotations": [{"file": file.name, "sha256": sha256(file)} for file in captions.files],
                  "clustering": describe_hierarchy(config.memory), **held_out})


def _is_same(folder: Path, info: dict[str, Any]) -> bool:
    """Whether the folder's bank was made like this; UserError with the differences when it was not."""
    found = {key: value for key, value in read_bank_json(folder)["info"].items() if key not in OUTCOMES}
    different = [f"{key}: {found.get(key)!r} there, {info.get(key)!r} here"
                 for key in {**info, **found} if found.get(key) != info.get(key)]
    if different:
        raise UserError(f"{folder}: holds another memory bank ({'; '.join(different)}); choose another memory.path, "
                        "or replace it with --overwrite")
    return True


def _encode(encoder: Encoder, texts: tuple[str, ...]) -> np.ndarray:
    """Each different text once, then all in order: float32 [N, D]."""
    different = list(dict.fromkeys(texts))
    rows = {text: row for row, text in enumerate(different)}
    embeddings = encoder.encode(different)
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise UserError(f"memory.encoder: {encoder.name}: the embedding of {different[int(np.argmin(finite))]!r} is "
                        "not finite; use another encoder or mend the caption")
    return embeddings[[rows[text] for text in texts]]


def _children(below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, ...]:
    """Ascending ids of the level below for each cluster, from the labels [N] of every caption at both levels."""
    ids, first = np.unique(below, return_index=True)
    parent = above[first]
    order = np.argsort(parent, kind="stable")
    return tuple(np.split(ids[order], np.flatnonzero(np.diff(parent[order])) + 1))


def _embeddings(summaries: list[Summary], encoder: Encoder) -> np.ndarray:
    new = [summary.text for summary in summaries if summary.embedding is None]
    encoded = iter(_encode(encoder, tuple(new)) if new else ())
    return np.stack([next(encoded) if summary.embedding is None else summary.embedding
                     for summary in summaries]).astype(np.float32)


def _count(summaries: list[Summary]) -> dict[str, Any]:
    """How the texts came about, where a language model was asked: for the bank's info."""
    answered = sum(summary.author is None and summary.embedding is None for summary in summaries)
    fallbacks = Counter(summary.fallback for summary in summaries if summary.fallback)
    if not answered and not fallbacks:
        return {}
    return {"summaries": {"answered": answered, "quoted": len(summaries) - answered - fallbacks.total(),
                          "fallbacks": dict(sorted(fallbacks.items()))}}


def _warn_of_fallbacks(info: dict[str, Any], nodes: int) -> None:
    if fallbacks := info.get("summaries", {}).get("fallbacks"):
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in fallbacks.items())
        warnings.warn(f"memory: the medoid stands in for the language model's answer in {sum(fallbacks.values()):,} of "
                      f"{nodes:,} nodes ({reasons}); what was not reached is asked for again with --overwrite",
                      stacklevel=3)
