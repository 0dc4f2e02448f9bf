"""Time of one memory read on a random bank of YouCook2's size, against a loop over windows and nodes.

    python scripts/bench_retrieval.py

The loop is written here, plainly, from the same equations; it stands for code that handles one window and one node at
a time, and is not taken from any other program.  Prints milliseconds per video (median over batches).
"""

import argparse
import time

import numpy as np

from hicm.config import RetrievalConfig
from hicm.memory.bank import Bank, Leaves, Level
from hicm.retrieval.reader import Reader

SENTENCES, VIDEOS, NODES = 10337, 1333, (2362, 735, 192, 44)


def random_bank(width: int, seed: int = 0) -> Bank:
    """A proper tree of YouCook2's size; a node's summary is its first leaf's caption."""
    rng = np.random.default_rng(seed)
    below = rng.standard_normal((SENTENCES, width)).astype(np.float32)
    videos = tuple(f"video{video:06d}" for video in np.sort(rng.integers(0, VIDEOS, SENTENCES)))
    leaves = Leaves(tuple(f"caption {leaf}" for leaf in range(SENTENCES)), below, videos, np.arange(SENTENCES))
    writers, levels = np.arange(SENTENCES), []
    for count in NODES:
        parent = np.concatenate([np.arange(count), rng.integers(0, count, len(below) - count)])
        rng.shuffle(parent)
        children = tuple(np.flatnonzero(parent == node) for node in range(count))
        firsts = np.asarray([ids[0] for ids in children])
        below, writers = below[firsts], writers[firsts]
        levels.append(Level(tuple(f"caption {leaf}" for leaf in writers), below, children, writers))
    return Bank(tuple(levels), leaves).validate()


def read_by_loop(bank: Bank, frames: np.ndarray, windows: int, k: int) -> np.ndarray:
    """Top-down read of one video [T, D] -> [W, D], one window and one node at a time."""
    reads = []
    for rows in np.array_split(frames, windows):
        query, means = rows.mean(axis=0), []
        candidates = list(range(len(bank.levels[-1])))
        for number in range(bank.depth, 0, -1):
            level, scored = bank.level(number), []
            for node in candidates:
                embedding = level.embeddings[node]
                norm = max(np.linalg.norm(query), 1e-8) * max(np.linalg.norm(embedding), 1e-8)
                scored.append((float(query @ embedding / norm), node))
            kept = [node for _, node in sorted(scored, key=lambda pair: -pair[0])[:k]]
            means.append(np.mean([level.embeddings[node] for node in kept], axis=0))
            candidates = [child for node in kept for child in level.children[node]]
        reads.append(np.mean(means, axis=0))
    return np.stack(reads)


def milliseconds(call, repeats: int, videos: int) -> float:
    """Median wall time of ``call`` per video; a first call to warm up does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times)) / videos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="videos per read (default: %(default)s)")
    parser.add_argument("--width", type=int, default=768, help="embedding width (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=10, help="timed reads (default: %(default)s)")
    arguments = parser.parse_args()

    bank = random_bank(arguments.width)
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((arguments.batch, 100, arguments.width)).astype(np.float32)
    mask = np.ones((arguments.batch, 100), bool)
    own = list(bank.leaves.videos[:: len(bank.leaves) // arguments.batch][: arguments.batch])
    reads = {"descend": {}, "descend, own video left out": {}, "descend, token per level": {"read": "levels"},
             "top_only": {"search": "top_only"}, "flat, level 1": {"search": "flat"},
             "flat, captions": {"search": "flat", "flat_level": 0}}
    times = {}
    for name, settings in reads.items():
        reader = Reader(bank, RetrievalConfig(**settings))
        exclude = own if "own" in name else None
        times[name] = milliseconds(lambda r=reader, e=exclude: r.read(frames, mask, e), arguments.repeats,
                                   arguments.batch)
        print(f"{name:<32}{times[name]:9.3f} ms per video")
    fast = Reader(bank, RetrievalConfig()).read(frames[:1], mask[:1]).vectors[0]
    np.testing.assert_allclose(fast, read_by_loop(bank, frames[0], 10, 10), atol=1e-5)
    loop = milliseconds(lambda: read_by_loop(bank, frames[0], 10, 10), 3, 1)
    print(f"{'descend, plain loop':<32}{loop:9.3f} ms per video ({loop / times['descend']:.0f} x)")


if __name__ == "__main__":
    main()
