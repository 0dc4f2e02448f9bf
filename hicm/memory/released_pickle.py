"""The memory bank of the published HiCM2 code, ``hierarchical_clustering_results_*.pkl``, read and written.

    {"level_1": {"cluster_0": {"indices":         [sentence indices], at every level
                               "sentences":       their texts at level 1, the children's summaries above
                               "summary":         text
                               "clip_embedding":  array (1, D), float16
                               "parent_clusters": None at level 1; above, despite the name, the *children*:
                                                  ids one level finer}, ...},
     "level_2": ...}

Level 1 is the finest; a cluster's id is the number at the end of its key.  The pickle is read without running
any code in it (`hicm.files.read_pickle`).
"""

import io
import itertools
import pickle
import pickletools
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hicm.errors import UserError, brief
from hicm.files import atomic, read_pickle
from hicm.memory.bank import Bank, Leaves, Level

PROTOCOL = 3  # the last protocol that writes the names of functions as plain lines
_ID = re.compile(r"(?:^|\D)([0-9]{1,9})$")
_NAMES = {"numpy._core.multiarray": "numpy.core.multiarray", "numpy._core.numeric": "numpy.core.numeric"}


@dataclass(frozen=True)
class _Cluster:
    id: int
    where: str  # file, level and key, for errors
    entry: Mapping[str, Any]


def read_released(path: str | Path) -> tuple[tuple[Level, ...], Leaves | None]:
    """Levels and captions of a released pickle; ids are renumbered from 0, in their order.

    The captions have no embeddings, no videos ("" each), and their index in place of a sentence number; they are None
    when the file has no indices at level 1.  Authors are -1: the summaries were written from all captions.  Missing
    children are derived from the indices.  Raises UserError naming the level and cluster that is malformed; warns when
    indices and children disagree (the children are used).
    """
    stages = _stages(read_pickle(path, "released memory bank"), path)
    leaves, children = _leaves(stages[0])
    above = None if leaves is None else _labels(children)
    levels = [_level(stages[0], children)]
    for finer, coarser in itertools.pairwise(stages):
        by_index = None if leaves is None else _index_labels(coarser, leaves.sentences)
        children = _children(finer, coarser, above, by_index)
        levels.append(_level(coarser, children))
        if above is not None:
            above = _labels(children)[above]
            if by_index is not None:
                _warn_if_different(coarser, above, by_index)
    return _one_type(levels, path), leaves


def write_released(bank: Bank, path: str | Path) -> Path:
    """Write ``bank`` in the layout above, atomically, readable by NumPy 1 and 2; returns the path.

    Embeddings keep their dtype (the released files: float16); sentence indices are leaf ids; authors are not kept.
    """
    content, texts = {}, () if bank.leaves is None else bank.leaves.texts
    for number, level in enumerate(bank.levels, start=1):
        indices = level.children if number == 1 else bank.leaves_by_node(number)
        content[f"level_{number}"] = {f"cluster_{node}": {
            "indices": indices[node].tolist(),
            "sentences": [texts[child] for child in level.children[node]],
            "summary": level.texts[node],
            "clip_embedding": level.embeddings[node:node + 1],
            "parent_clusters": None if number == 1 else level.children[node].tolist(),
        } for node in range(len(level))}
        texts = level.texts
    with atomic(path) as temporary:
        temporary.write_bytes(_with_old_names(pickle.dumps(content, PROTOCOL)))
    return Path(path)


def _with_old_names(data: bytes) -> bytes:
    """NumPy 2 pickles arrays under a module name that NumPy 1 lacks; both know the old name."""
    out, last = io.BytesIO(), 0
    for opcode, argument, place in pickletools.genops(data):
        module, _, name = str(argument).partition(" ")
        if opcode.name == "GLOBAL" and module in _NAMES and place is not None:
            out.write(data[last:place] + f"c{_NAMES[module]}\n{name}\n".encode())
            last = place + len(f"c{module}\n{name}\n")
    out.write(data[last:])
    return out.getvalue()


def _stages(content: Any, path: str | Path) -> list[list[_Cluster]]:
    """The clusters of each level, fine to coarse, in the order of their ids."""
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: expected {{level_1: {{cluster_0: {{...}}}}, ...}}, found {type(content).__name__}; "
                        "is it a hierarchical_clustering_results_*.pkl?")
    found = {f"level_{number}": f"level_{number}" for number in range(1, len(content) + 1)}
    for key in content:
        if key not in found:
            raise UserError(f"{path}: key {brief(key)} among {len(content)} levels; expected level_1 to "
                            f"level_{len(content)} without a gap")
    return [_clusters(content[key], f"{path}: {key}") for key in found]


def _clusters(stage: Any, where: str) -> list[_Cluster]:
    if not isinstance(stage, dict) or not stage:
        raise UserError(f"{where}: expected {{cluster_0: {{...}}, ...}} with at least one cluster, found "
                        f"{type(stage).__name__}")
    clusters: dict[int, _Cluster] = {}
    for key, entry in stage.items():
        number = _ID.search(str(key))
        if number is None:
            raise UserError(f"{where}: key {brief(key)} does not end in a number; expected cluster_<id>")
        cluster = _Cluster(int(number[1]), f"{where}, {str(key)[:40]}", entry)
        if cluster.id in clusters:
            raise UserError(f"{cluster.where}: id {cluster.id} occurs twice; every cluster needs an id of its own")
        if not isinstance(entry, dict):
            raise UserError(f"{cluster.where}: expected {{summary, clip_embedding, ...}}, found {type(entry).__name__}")
        clusters[cluster.id] = cluster
    return [clusters[number] for number in sorted(clusters)]


def _leaves(clusters: list[_Cluster]) -> tuple[Leaves | None, tuple[np.ndarray, ...]]:
    """The captions in the order of their indices, and those of each finest cluster."""
    found = [(cluster, _ids(cluster, "indices")) for cluster in clusters]
    without = [cluster for cluster, ids in found if ids is None]
    if len(without) == len(clusters):
        return None, (np.zeros(0, np.int64),) * len(clusters)
    if without:
        raise UserError(f"{without[0].where}: no indices, though other clusters have them; expected those of its "
                        "sentences")
    indices = [ids for _, ids in found if ids is not None]
    texts: dict[int, str] = {}
    owner: dict[int, str] = {}
    for cluster, ids in zip(clusters, indices, strict=True):
        sentences = _sentences(cluster)
        if len(sentences) != len(ids):
            raise UserError(f"{cluster.where}: {len(sentences)} sentences but {len(ids)} indices; expected equal "
                            "counts")
        for index, text in zip(ids.tolist(), sentences, strict=True):
            if index < 0:
                raise UserError(f"{cluster.where}: sentence index {index}; expected 0 or more")
            if index in owner:
                raise UserError(f"{cluster.where}: sentence index {index} is already in {owner[index]}")
            texts[index], owner[index] = text, cluster.where.rpartition(", ")[2]
    order = np.asarray(sorted(texts), np.int64)
    leaves = Leaves(tuple(texts[index] for index in order.tolist()), None, ("",) * len(order), order)
    return leaves, tuple(np.searchsorted(order, ids) for ids in indices)


def _children(finer: list[_Cluster], coarser: list[_Cluster], above: np.ndarray | None,
              by_index: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Rows of the level below for each cluster; every row must occur exactly once.

    ``above``: the node of the level below above each caption; ``by_index``: the cluster of each caption by the
    clusters' own indices.  Both are None where there are no captions or no indices.
    """
    row = {cluster.id: place for place, cluster in enumerate(finer)}
    owner: dict[int, str] = {}
    children = []
    for place, cluster in enumerate(coarser):
        ids = _ids(cluster, "parent_clusters")
        if ids is None and above is not None and by_index is not None:
            ids = np.asarray([finer[node].id for node in np.unique(above[by_index == place])])
        if ids is None or not len(ids):
            raise UserError(f"{cluster.where}: no children; expected their ids in parent_clusters")
        for child in ids.tolist():
            if child not in row:
                raise UserError(f"{cluster.where}: child {child} does not exist in the level below")
            if child in owner:
                raise UserError(f"{cluster.where}: child {child} is also a child of {owner[child]}")
            owner[child] = cluster.where.rpartition(", ")[2]
        children.append(np.asarray([row[child] for child in ids.tolist()], np.int64))
    for cluster in finer:
        if cluster.id not in owner:
            raise UserError(f"{cluster.where}: no cluster of the level above has it as a child; the tree is "
                            "incomplete")
    return tuple(children)


def _labels(children: tuple[np.ndarray, ...]) -> np.ndarray:
    """The node above each node of the level below."""
    labels = np.empty(sum(map(len, children)), np.int64)
    for node, ids in enumerate(children):
        labels[ids] = node
    return labels


def _index_labels(clusters: list[_Cluster], order: np.ndarray) -> np.ndarray | None:
    """The cluster of each caption by the clusters' own indices, -1: none; None when a cluster has no indices.

    ``order``: the index of each caption, ascending.  Indices of captions that level 1 lacks are ignored.
    """
    labels = np.full(len(order), -1)
    for place, cluster in enumerate(clusters):
        ids = _ids(cluster, "indices")
        if ids is None:
            return None
        rows = np.minimum(np.searchsorted(order, ids), len(order) - 1)
        labels[rows[order[rows] == ids]] = place
    return labels


def _warn_if_different(clusters: list[_Cluster], above: np.ndarray, by_index: np.ndarray) -> None:
    different = np.unique(above[above != by_index])
    if len(different):
        warnings.warn(f"{clusters[different[0]].where}{f' and {len(different) - 1} more' * (len(different) > 1)}: the "
                      "indices disagree with the children; the children are used", stacklevel=3)


def _level(clusters: list[_Cluster], children: tuple[np.ndarray, ...]) -> Level:
    embeddings = [_embedding(cluster) for cluster in clusters]
    for cluster, embedding in zip(clusters, embeddings, strict=True):
        if len(embedding) != len(embeddings[0]):
            raise UserError(f"{cluster.where}: clip_embedding is {len(embedding)} wide, that of the first cluster "
                            f"{len(embeddings[0])}; all must have one width")
    return Level(tuple(_text(cluster.entry.get("summary"), f"{cluster.where}: summary") for cluster in clusters),
                 np.stack(embeddings), children, np.full(len(clusters), -1))


def _one_type(levels: list[Level], path: str | Path) -> tuple[Level, ...]:
    """All levels as float16 if they all are, else as float32; all must have the same width."""
    kind = np.result_type(*(level.embeddings for level in levels))
    for number, level in enumerate(levels, start=1):
        if level.embeddings.shape[1] != levels[0].embeddings.shape[1]:
            raise UserError(f"{path}: level_{number}: clip_embedding is {level.embeddings.shape[1]} wide, at level_1 "
                            f"{levels[0].embeddings.shape[1]}; all must have one width")
    return tuple(replace(level, embeddings=level.embeddings.astype(kind, copy=False)) for level in levels)


def _embedding(cluster: _Cluster) -> np.ndarray:
    """[D]: float16 stays, any other float type becomes float32."""
    where, value = f"{cluster.where}: clip_embedding", cluster.entry.get("clip_embedding")
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not value.size \
            or value.shape not in ((value.size,), (1, value.size)):
        found = f"{list(value.shape)} of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise UserError(f"{where}: expected a float array (1, D) or (D,), found {found}")
    with np.errstate(over="ignore"):
        vector = value.reshape(-1).astype(value.dtype.newbyteorder("=") if value.dtype.itemsize == 2 else np.float32)
    if not np.isfinite(vector).all():
        raise UserError(f"{where} is not finite; encode its summary again")
    return vector


def _ids(cluster: _Cluster, field: str) -> np.ndarray | None:
    """int64 [n]; None when the field is missing, None or empty."""
    value = cluster.entry.get(field)
    items = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if items is None or (isinstance(items, list | tuple) and not items):
        return None
    if not isinstance(items, list | tuple) or not all(
            isinstance(item, int | np.integer) and type(item) is not bool and abs(int(item)) < 1 << 63
            for item in items):
        raise UserError(f"{cluster.where}: {field}: expected a list of whole numbers, found {brief(value)}")
    return np.asarray(items, np.int64)


def _sentences(cluster: _Cluster) -> list[str]:
    value: Any = cluster.entry.get("sentences")
    if not isinstance(value, list | tuple) and np.ndim(value) != 1:
        raise UserError(f"{cluster.where}: sentences: expected a list of texts, found {type(value).__name__}")
    return [_text(text, f"{cluster.where}: sentences[{place}]") for place, text in enumerate(value)]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where}: expected text, found {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: not valid Unicode text (character {error.start}); correct it") from error
    return str(value)
