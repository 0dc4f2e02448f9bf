"""Descending to the captions beside a flat search of all captions: time, cosines and recall, as a Markdown table.

    OMP_NUM_THREADS=1 python scripts/bench_descent.py [--captions 10000 1000000] [--finch 10000] [--beams 10 32 64]
                                                      [--videos 40] [--repeat 3] [--json FILE]

Captions are made up: topics of groups of captions, scaled to length 1.  The windows' queries are further captions of
the same groups, so that each has near ones in the bank.  The tree halves its nodes by two steps of 2-means with halves
of equal size, four children a node, about four captions a finest node; --finch also measures trees of FINCH.
A node's embedding is the mean of its children's.

Time is the processor time of a read, per video of 10 windows, with 4 videos at once: the median of --repeat runs over
all videos, in which the searches take turns.  The ratio is the median of those of each repeat.  "found" is the share of
windows whose nearest caption is among the 10 captions that the descent keeps.  The peak is that of the process, from
its start to the end of this tree's searches: one value per tree, and never less than that of the trees before it.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from hicm.config import SEARCHES, RetrievalConfig
from hicm.memory.bank import Bank, Leaves, Level
from hicm.memory.hierarchies.finch import finch
from hicm.plugins import find_module
from hicm.recipes.bench.memory import embeddings
from hicm.retrieval.reader import Reader
from hicm.retrieval.records import Recalled
from hicm.retrieval.scoring import Queries, unit_rows

WIDTH, WINDOWS, KEPT, AT_ONCE = 384, 10, 10, 4
CAPTIONS = 4.4  # of a finest node of a halved tree, on average
TOP = 8  # fewest nodes at the top of a halved tree
STEPS = 2  # of 2-means, by which a node is halved
FEWEST = 25  # captions: fewer make no halved tree with TOP nodes
CHUNK = 20_000  # rows


def halved(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """Labels int64 [N, P] of a balanced tree of points [N, D], finest first."""
    rng, count = np.random.default_rng(seed), len(points)
    depth = round(np.log2(count / CAPTIONS))
    order, levels = np.arange(count), []
    for step in range(depth):
        edges = np.arange(2**step + 1) * count // 2**step
        node, halves = _ids(edges), _ids(np.arange(2 ** (step + 1) + 1) * count // 2 ** (step + 1))
        pair = rng.integers(edges[:-1], edges[1:], (2, 2**step))
        ways = points[order[pair[0]]] - points[order[pair[1]]]
        for _ in range(STEPS):
            order = order[np.lexsort((_products(points, order, ways, node), node))]
            sums = _sums(points, order, halves)
            ways = sums[1::2] - sums[::2]
        if (depth - step - 1) % 2 == 0 and 2 ** (step + 1) >= TOP:
            labels = np.empty(count, np.int64)
            labels[order] = halves
            levels.append(labels)
    return np.stack(levels[::-1], axis=1)


def _ids(edges: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(edges) - 1), np.diff(edges))


def _products(points: np.ndarray, order: np.ndarray, ways: np.ndarray, node: np.ndarray) -> np.ndarray:
    """Of each point, in ``order``, the product with the direction of its node."""
    found = np.empty(len(order), np.float32)
    for start in range(0, len(order), CHUNK):
        rows = slice(start, start + CHUNK)
        found[rows] = np.einsum("nd,nd->n", points[order[rows]], ways[node[rows]])
    return found


def _sums(points: np.ndarray, order: np.ndarray, halves: np.ndarray) -> np.ndarray:
    sums = np.zeros((halves[-1] + 1, points.shape[1]), np.float32)
    for start in range(0, len(order), CHUNK):
        own = halves[start:start + CHUNK]
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        sums[own[starts]] += np.add.reduceat(points[order[start:start + CHUNK]], starts)
    return sums


def bank_of(points: np.ndarray, labels: np.ndarray) -> Bank:
    """The tree of labels [N, P], whose nodes are the means of their children."""
    below, under, levels = points, np.arange(len(points)), []
    for column in labels.T:
        parents = np.empty(len(below), np.int64)
        parents[under] = column
        sizes = np.bincount(parents)
        children = tuple(np.split(np.argsort(parents, kind="stable"), np.cumsum(sizes)[:-1]))
        shares = scipy.sparse.csr_array((np.float32(1) / sizes[parents].astype(np.float32),
                                         (parents, np.arange(len(below)))), shape=(len(sizes), len(below)))
        below, under = shares @ below, column
        levels.append(Level(("summary",) * len(below), below, children, np.full(len(below), -1)))
    names = ("made up",) * len(points)
    return Bank(tuple(levels), Leaves(names, points, names, np.arange(len(points))))


def settings_of(name: str, beam: int) -> RetrievalConfig:
    settings = RetrievalConfig(windows=WINDOWS, top_k=KEPT, beam=beam, levels=[0])
    return replace(settings, search="flat", flat_level=0) if name == "flat" else settings


def measure(count: int, tree: str, beams: list[int], videos: int, repeat: int) -> list[dict[str, Any]]:
    """A row per search: captions, tree, search, milliseconds of every repeat, cosines per window and share found."""
    points = embeddings(count + videos * WINDOWS, WIDTH)
    for start in range(0, len(points), CHUNK):
        points[start:start + CHUNK] = unit_rows(points[start:start + CHUNK])
    points, frames = points[:count], points[count:].reshape(videos, WINDOWS, WIDTH)
    bank = bank_of(points, finch(points) if tree == "finch" else halved(points))
    names = {"flat": 0, **{f"descend, beam {beam}": beam for beam in beams}}
    readers = {name: Reader(bank, settings_of(name, beam)) for name, beam in names.items()}
    for reader in readers.values():
        reader.tables = readers["flat"].tables
    batches = [frames[start:start + AT_ONCE] for start in range(0, videos, AT_ONCE)]
    mask = np.ones((AT_ONCE, WINDOWS), bool)
    times: dict[str, list[float]] = {name: [] for name in names}
    kept: dict[str, list[np.ndarray]] = {}

    def read(name: str) -> list[Recalled]:
        return [readers[name].read(batch, mask[:len(batch)]) for batch in batches]

    for name in names:
        kept[name] = [one.nodes[0].reshape(-1, KEPT) for one in read(name)]
    for _ in range(repeat):
        for name in names:
            began = time.process_time()
            read(name)
            times[name].append((time.process_time() - began) * 1e3 / videos)
    best = np.concatenate(kept["flat"])[:, :1]
    return [{"captions": count, "tree": tree, "nodes": [len(level) for level in bank.levels], "search": name,
             "ms": times[name], "cosines": cosines(readers[name], batches),
             "found": float((np.concatenate(kept[name]) == best).any(axis=1).mean())} for name in names]


def cosines(reader: Reader, batches: list[np.ndarray]) -> float:
    """Computed per window."""
    search, found = find_module(name=reader.settings.search, **SEARCHES).search, 0
    for batch in batches:
        queries = Queries(reader.tables, batch, np.ones(batch.shape[:2], bool), [None] * len(batch))
        search(queries, reader.settings, reader.levels)
        found += queries.cosines
    return found / sum(map(len, batches)) / WINDOWS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, nargs="*", default=[10_000, 1_000_000], help="sizes of halved trees")
    parser.add_argument("--finch", type=int, nargs="*", default=[10_000], help="sizes of trees of FINCH")
    parser.add_argument("--beams", type=int, nargs="+", default=[10, 32, 64])
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every repeat")
    asked = parser.parse_args()
    for name, least in {"captions": FEWEST, "finch": FEWEST, "beams": KEPT, "videos": 1, "repeat": 1}.items():
        value = getattr(asked, name)
        if np.min(value, initial=least) < least:
            parser.error(f"--{name}: expected {least} or more, found {np.min(value)}")
    found = []
    print("| captions | tree | search | ms per video | flat / this | cosines per window | found | peak MiB |",
          "|--:|---|---|--:|--:|--:|--:|--:|", sep="\n", flush=True)
    for count, tree in sorted([(count, "halved") for count in asked.captions] + [(n, "finch") for n in asked.finch]):
        rows = measure(count, tree, asked.beams, asked.videos, asked.repeat)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        for row in rows:
            row["peak_mib"] = peak
            ratio = statistics.median(flat / own for flat, own in zip(rows[0]["ms"], row["ms"], strict=True))
            print(f"| {count:,} | {tree} | {row['search']} | {statistics.median(row['ms']):.2f} | {ratio:.1f} "
                  f"| {row['cosines']:,.0f} | {row['found']:.3f} | {peak:,.0f} |", flush=True)
        found += rows
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
