"""Reading the memory: a tree of YouCook2's size, several searches, and a plain loop over windows and nodes.

The loop is written from the same equations; it stands for code that handles one window and one node at a time.
"""

from typing import Any

import numpy as np

from hicm.config import RetrievalConfig
from hicm.memory.bank import Bank, Leaves, Level
from hicm.recipes.bench.race import Asked, Run, race, to_json
from hicm.retrieval.reader import Reader

ORDER = 4
WINDOWS, KEPT, ROWS = 10, 10, 100  # queries per video, nodes kept per level, rows per video
# captions, videos, nodes per level (finest first), width, videos read at once, videos read by the loop
SIZES = {"tiny": (400, 50, (90, 40, 15), 64, 8, 1), "small": (3000, 400, (700, 200, 50, 12), 384, 32, 4),
         "base": (10337, 1333, (2362, 735, 192, 44), 768, 64, 8)}
READS: dict[str, dict[str, Any]] = {
    "descend (default)": {}, "descend, own video left out": {}, "descend, a vector per level": {"read": "levels"},
    "top_only (released)": {"search": "top_only", "tail": "drop"}, "flat, level 1": {"search": "flat"},
    "flat, captions": {"search": "flat", "flat_level": 0}}
DESCEND, LOOP = "descend (default)", "descend, a plain loop"


def measure(asked: Asked) -> dict[str, Any]:
    """What is read by the loop is compared with ours."""
    captions, videos, nodes, width, batch, few = SIZES[asked.size]
    bank = random_bank(captions, videos, nodes, width)
    frames = np.random.default_rng(1).standard_normal((batch, ROWS, width)).astype(np.float32)
    assert bank.leaves is not None
    mask, own = np.ones((batch, ROWS), bool), list(bank.leaves.videos[:: captions // batch][:batch])

    def read(name: str) -> Run:
        reader, left_out = Reader(bank, RetrievalConfig(**READS[name])), own if "own" in name else None
        return Run(name, lambda: reader.read(frames, mask, left_out).vectors, "" if name == DESCEND else DESCEND,
                   lambda _: {"videos": batch})

    runs = [read(name) for name in READS]
    timed = race(runs, asked)
    alone = Run("descend, as many videos as the loop", lambda: Reader(bank, RetrievalConfig()).read(
        frames[:few], mask[:few]).vectors, count=lambda _: {"videos": few})
    loop = Run(LOOP, lambda: np.stack([read_by_loop(bank, rows) for rows in frames[:few]]), alone.name,
               lambda _: {"videos": few})
    both = race([alone, loop], asked)
    apart = float(np.abs(both[LOOP].output - both[alone.name].output).max())
    return {"settings": {"captions": captions, "nodes": list(nodes), "width": width, "windows": WINDOWS, "top_k": KEPT,
                         "videos_at_once": batch, "videos_by_the_loop": few},
            "runs": to_json(timed) + to_json(both), "checks": [f"{LOOP}: largest difference of a number {apart:.1e}"],
            "notes": []}


def random_bank(captions: int, videos: int, nodes: tuple[int, ...], width: int, seed: int = 0) -> Bank:
    """A proper tree; a node's summary is its first leaf's caption."""
    rng = np.random.default_rng(seed)
    below = rng.standard_normal((captions, width)).astype(np.float32)
    origins = tuple(f"video{video:06d}" for video in np.sort(rng.integers(0, videos, captions)))
    leaves = Leaves(tuple(f"caption {leaf}" for leaf in range(captions)), below, origins, np.arange(captions))
    writers, levels = np.arange(captions), []
    for count in nodes:
        parent = np.concatenate([np.arange(count), rng.integers(0, count, len(below) - count)])
        rng.shuffle(parent)
        children = tuple(np.flatnonzero(parent == node) for node in range(count))
        firsts = np.asarray([ids[0] for ids in children])
        below, writers = below[firsts], writers[firsts]
        levels.append(Level(tuple(f"caption {leaf}" for leaf in writers), below, children, writers))
    return Bank(tuple(levels), leaves).validate()


def read_by_loop(bank: Bank, frames: np.ndarray) -> np.ndarray:
    """Top-down read of one video [T, D] -> [W, D], one window and one node at a time."""
    reads = []
    for rows in np.array_split(frames, WINDOWS):
        query, means = rows.mean(axis=0), []
        candidates = list(range(len(bank.levels[-1])))
        for number in range(bank.depth, 0, -1):
            level, scored = bank.level(number), []
            for node in candidates:
                embedding = level.embeddings[node]
                norms = [max(float(np.linalg.norm(vector)), 1e-8) for vector in (query, embedding)]
                scored.append((float(query @ embedding) / (norms[0] * norms[1]), node))
            kept = [node for _, node in sorted(scored, key=lambda pair: -pair[0])[:KEPT]]
            means.append(np.mean([level.embeddings[node] for node in kept], axis=0))
            candidates = [child for node in kept for child in level.children[node]]
        reads.append(np.mean(means, axis=0))
    return np.stack(reads)
