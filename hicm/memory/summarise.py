"""A tree of captions to the levels of a bank: every node gets a text and its embedding, level by level."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from hicm.encoders import Encoder
from hicm.memory.bank import Level
from hicm.memory.encoding import encode_texts
from hicm.memory.summarisers.node import Members, Summariser, Summary
from hicm.memory.tree import Tree


def summarise_tree(tree: Tree, summariser: Summariser, encoder: Encoder) -> tuple[tuple[Level, ...], list[Summary]]:
    """Levels 1 .. P, and the summary of every node; a node with one child keeps that child's text."""
    texts, embeddings, authors = tree.leaves.texts, tree.embeddings, np.arange(len(tree.leaves))
    below, sizes = np.arange(len(tree.leaves)), np.ones(len(tree.leaves))
    levels: list[Level] = []
    all_summaries: list[Summary] = []
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


def count_outcomes(summaries: Sequence[Summary]) -> dict[str, Any]:
    """How the texts came about, for the bank's info; empty when no language model was asked."""
    answered = sum(summary.author is None and summary.embedding is None for summary in summaries)
    fallbacks = Counter(summary.fallback for summary in summaries if summary.fallback)
    cleaned = Counter(kind for summary in summaries for kind in summary.cleaned)
    if not answered and not fallbacks:
        return {}
    return {"summaries": {"answered": answered, "quoted": len(summaries) - answered - fallbacks.total(),
                          "fallbacks": dict(sorted(fallbacks.items())),
                          **({"cleaned": dict(sorted(cleaned.items()))} if cleaned else {})}}


def _children(below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, ...]:
    """Ascending ids of the level below for each cluster, from the labels [N] of every caption at both levels."""
    ids, first = np.unique(below, return_index=True)
    parent = above[first]
    order = np.argsort(parent, kind="stable")
    return tuple(np.split(ids[order], np.flatnonzero(np.diff(parent[order])) + 1))


def _embeddings(summaries: Sequence[Summary], encoder: Encoder) -> np.ndarray:
    new = [summary.text for summary in summaries if summary.embedding is None]
    encoded = iter(encode_texts(encoder, new) if new else ())
    return np.stack([next(encoded) if summary.embedding is None else summary.embedding
                     for summary in summaries]).astype(np.float32)
