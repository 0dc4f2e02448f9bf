"""The work of `bench_generation.py` on both sides, counted, and how fast this machine does such work.

    python scripts/bench_generation_floor.py [--videos 16] [--tokens 256] [--layers 12] [--beams 1]

Operations are those of matrix products (a multiplication and an addition are two); bytes are what the decoder reads of
encoder keys and values, float32.  The reference pads to the longest video and computes all rows until the last has
ended; ours computes what is there.  Speeds are per second of processor time, the best of some repeats.
"""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from bench_generation import BINS, FRAMES, PIECES, RECALLED, WIDTH, Ends, make_batch
from torch.nn.functional import linear

from hicm.systems.captioner.vocabulary import PAD

HIDDEN, VISUAL_HIDDEN = 3072, 2048
ROWS = (2048, 64, 16, 8, 4, 1)


class Work(NamedTuple):
    """Operations of encoders, encoder keys and values, and decoder weights; bytes of keys and values."""

    encoders: float
    keys: float
    weights: float
    read: float


def count(speech: list[int], steps: list[int], layers: int, beams: int) -> Work:
    """The work for videos with so many tokens of speech and of captions."""
    layer = 2 * (4 * WIDTH**2 + 2 * WIDTH * HIDDEN)
    visual = 2 * (4 * WIDTH**2 + 2 * WIDTH * VISUAL_HIDDEN) + 4 * FRAMES * WIDTH
    states = [tokens + FRAMES + RECALLED for tokens in speech]
    step = layers * (layer + 2 * 2 * WIDTH**2) + 2 * WIDTH * (PIECES + BINS)
    return Work(layers * sum(tokens * (layer + 4 * tokens * WIDTH) + FRAMES * visual for tokens in speech),
                layers * sum(states) * 4 * WIDTH**2,
                step * beams * sum(steps),
                layers * 2 * 4 * WIDTH * sum(size * last for size, last in zip(states, steps, strict=True)))


def fastest(work: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of processor time."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def speeds() -> None:
    """Print the speed of products with all rows of ``ROWS``, in both orders, and of reading."""
    weights = [torch.randn(HIDDEN, WIDTH) for _ in range(8)]  # more than the cache holds
    print("\n| rows | linear, Gflop/s | W x^T, Gflop/s |\n|--:|--:|--:|")
    for rows in ROWS:
        x, work = torch.randn(rows, WIDTH), 2 * rows * WIDTH * HIDDEN * len(weights) / 1e9
        print(f"| {rows} | {work / fastest(lambda x=x: [linear(x, weight) for weight in weights]):.1f} | "
              f"{work / fastest(lambda x=x: [weight @ x.t() for weight in weights]):.1f} |")
    large = torch.randn(2**25)
    print(f"\nreading: {large.nbytes / fastest(large.sum) / 1e9:.1f} GB/s")


@torch.inference_mode()
def main() -> None:
    """Print work and speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("videos", 16), ("tokens", 256), ("layers", 12), ("beams", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    speech = (make_batch(asked.videos).speech != PAD).sum(1).tolist()
    steps = Ends(asked.videos, asked.tokens).tokens.tolist()
    padded = count([max(speech)] * asked.videos, [max(steps)] * asked.videos, asked.layers, asked.beams)
    padded = padded._replace(read=padded.read * asked.beams)  # every beam has a copy
    real = count(speech, steps, asked.layers, asked.beams)
    names = "encoders, Tflop", "encoder keys and values, Tflop", "decoder's weights, Tflop", "keys and values read, TB"
    print("| | reference | ours | reference / ours |\n|---|--:|--:|--:|")
    for name, theirs, own in zip(names, padded, real, strict=True):
        print(f"| {name} | {theirs / 1e12:.2f} | {own / 1e12:.2f} | {theirs / own:.1f} |")
    speeds()


if __name__ == "__main__":
    main()
