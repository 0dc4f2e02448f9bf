"""Captions to memory bank: encode, cluster, summarise level by level, save."""

from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import Config
from hicm.data.annotations import read_split, refuse_blank_captions, split_files
from hicm.errors import UserError
from hicm.files import sha256
from hicm.memory.bank import TEXTS, Bank, Leaves, Level, plain, read_bank_json, save_bank
from hicm.memory.encoders import Encoder, make_encoder
from hicm.memory.finch import finch
from hicm.memory.summarise import Members, Summariser, Summary, make_summariser


def build_memory(config: Config, overwrite: bool = False) -> Path:
    """Build the bank that ``config`` describes and return its folder, ``config.bank``.

    Does nothing when the folder holds a bank of these settings and captions already.  Raises UserError when it
    holds another one (unless ``overwrite``), when a caption is blank, or when the encoder fails on one.
    """
    folder = config.bank
    encoder = make_encoder(config.memory.encoder, config.captioner.offline)
    summariser = make_summariser(config.memory.summariser)
    texts, videos, sentences = read_captions(config)
    info = _describe(config, encoder, summariser, len(texts))
    if (folder / TEXTS).exists() and not overwrite and _is_same(folder, info):
        return folder
    embeddings = _encode(encoder, texts)
    labels = finch(embeddings, config.memory.early_exit)
    leaves = Leaves(texts, embeddings, videos, sentences)
    return save_bank(Bank(_summarise(leaves, labels, summariser, encoder), leaves, info), folder)


def read_captions(config: Config) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray]:
    """Captions of ``memory.source`` as they stand, in file order, duplicates kept; their videos; their numbers [N].

    Raises UserError naming the first blank caption, or when there is none at all.
    """
    texts, videos, sentences = [], [], []
    for split in config.memory.source:
        split_videos = read_split(config.data, split)
        refuse_blank_captions(split_videos.values(), split_files(config.data, split)[0])
        for video in split_videos.values():
            for number, event in enumerate(video.events):
                texts.append(event.text)
                videos.append(video.id)
                sentences.append(number)
    if not texts:
        raise UserError(f"memory.source={config.memory.source}: no caption to build a memory from; name splits with "
                        "captions")
    return tuple(texts), tuple(videos), np.asarray(sentences, np.int64)


def _describe(config: Config, encoder: Encoder, summariser: Summariser, captions: int) -> dict[str, Any]:
    """What decides the bank, as plain data."""
    files = [config.data.annotations[split][0] for split in config.memory.source]
    return plain({"encoder": encoder.name, "summariser": summariser.name, "sources": config.memory.source,
                  "captions": captions, "annotations": [{"file": Path(file).name, "sha256": sha256(file)}
                                                        for file in files],
                  "clustering": {"method": "finch", "early_exit": config.memory.early_exit}})


def _is_same(folder: Path, info: dict[str, Any]) -> bool:
    """Whether the folder's bank was made like this; UserError with the differences when it was not."""
    found = read_bank_json(folder)["info"]
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


def _summarise(leaves: Leaves, labels: np.ndarray, summariser: Summariser, encoder: Encoder) -> tuple[Level, ...]:
    """Levels 1 .. P from the nested partitions [N, P]; a node with one child keeps that child's text."""
    texts, embeddings, authors = leaves.texts, leaves.embeddings, np.arange(len(leaves))
    below, levels = np.arange(len(leaves)), []
    for column in range(labels.shape[1]):
        children = _children(below, labels[:, column])
        nodes = [Members(column + 1, node, tuple(texts[child] for child in ids), embeddings[ids])
                 for node, ids in enumerate(children)]
        several = [node for node in nodes if len(node.texts) > 1]
        written = dict(zip((node.node for node in several), summariser.summarise(several), strict=True))
        summaries = [written.get(node.node, Summary(node.texts[0], node.embeddings[0], 0)) for node in nodes]
        authors = np.asarray([-1 if summary.author is None else authors[ids[summary.author]]
                              for summary, ids in zip(summaries, children, strict=True)])
        texts, embeddings = tuple(summary.text for summary in summaries), _embeddings(summaries, encoder)
        levels.append(Level(texts, embeddings, children, authors))
        below = labels[:, column]
    return tuple(levels)


def _children(below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, ...]:
    """Ascending ids of the level below for each cluster, from the labels [N] of every caption at both levels."""
    ids, first = np.unique(below, return_index=True)
    parent = above[first]
    order = np.argsort(parent, kind="stable")
    return tuple(np.split(ids[order], np.flatnonzero(np.diff(parent[order])) + 1))


def _embeddings(summaries: list[Summary], encoder: Encoder) -> np.ndarray:
    new = [summary.text for summary in summaries if summary.embedding is None]
    encoded = iter(encoder.encode(new) if new else ())
    return np.stack([next(encoded) if summary.embedding is None else summary.embedding
                     for summary in summaries]).astype(np.float32)
