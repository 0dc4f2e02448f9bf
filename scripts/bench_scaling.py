"""How time and memory grow with the length of videos, the size of the memory bank and the number of videos.

    python scripts/bench_scaling.py [hours] [speech] [bank] [videos] [--sizes 1 10 100] [--picture FILE.png]

    hours     rows of one video, one per second: recall (cut it, quote 10,000 captions), parallel (at YouCook2's size)
    speech    tokens of one transcript: the captioner, at the widths of t5-small, 100 frames, 128 new tokens
    bank      captions: one read of 10 windows by each search, and what the bank holds
    videos    annotated videos of 8 events: reading their annotations, and scoring predictions (vidchapters)

Everything is made up; weights are random.  Each point is a process of its own, with one thread: processor seconds of
a call, and the peak memory of the process.  An exponent of 1 means that twice the size takes twice the time.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

SIZES = {"hours": (0.1, 1, 4, 12), "speech": (125, 500, 1000, 2000, 4000), "bank": (1_000, 10_000, 100_000, 300_000),
         "videos": (1_000, 10_000, 100_000)}  # a bank of a million captions needs about 8 GB
UNITS = {"hours": "hours of video", "speech": "tokens of speech", "bank": "captions in the bank",
         "videos": "annotated videos"}
WIDTH, WINDOWS, EVENTS, CAPTIONS, NEW_TOKENS = 768, 10, 8, 10_000, 128
TEXTS = ("chop the onions and put them into a hot pan", "stir the sauce", "pour the batter into a greased tin",
         "season the meat with salt and pepper on both sides", "serve the noodles with a boiled egg")
SHORT, LONG = 1.0, 10.0  # seconds


def timed(call: Callable[[], object]) -> float:
    """Processor seconds of a call, after one to warm up: the mean of as many as take SHORT, the first if it took LONG.
    """
    began = time.process_time()
    call()
    if (first := time.process_time() - began) > LONG:
        return first
    began, calls = time.process_time(), 0
    while time.process_time() - began < SHORT:
        call()
        calls += 1
    return (time.process_time() - began) / calls


def scenes(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Rows of a video with a change of scene every 20 seconds on average, float32 [rows, WIDTH]."""
    means = rng.standard_normal((rows // 20 + 1, WIDTH), np.float32)
    found = means[np.sort(rng.integers(0, len(means), rows))]
    return found + 0.5 * rng.standard_normal(found.shape, np.float32)


# what is measured: the seconds of each step by name

def hours(size: float) -> dict[str, float]:
    import torch

    from hicm.systems.parallel.batch import Item, collate
    from hicm.systems.parallel.decode import describe
    from hicm.systems.parallel.model import Parallel
    from hicm.systems.parallel.settings import DecodeSettings
    from hicm.systems.parallel.settings import Settings as ParallelSettings
    from hicm.systems.parallel.vocabulary import Vocabulary
    from hicm.systems.recall.model import Captions, recall
    from hicm.systems.recall.segment import segment
    from hicm.systems.recall.settings import Settings

    rng, count = np.random.default_rng(0), round(3600 * size)
    rows = scenes(rng, count)
    vectors = rng.standard_normal((CAPTIONS, WIDTH), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    captions, settings = Captions(tuple(TEXTS[i % len(TEXTS)] for i in range(CAPTIONS)), vectors, None), Settings()

    def by_recall() -> None:
        parts = segment(rows, 1.0, count, [settings.penalty], settings.shortest)[0]
        recall(parts.means, captions, np.zeros(WIDTH, np.float32), settings)

    torch.manual_seed(0)
    vocabulary = Vocabulary(tuple(f"word{i}" for i in range(1606)))
    model = Parallel(ParallelSettings(), WIDTH, WIDTH, len(vocabulary)).eval()
    memory = rng.standard_normal((50, WIDTH), np.float32)
    batch = collate([Item("video", float(count), rows, memory, np.zeros((0, 2), np.float32), [])])

    def in_parallel() -> None:
        with torch.inference_mode():
            describe(model, batch, vocabulary, DecodeSettings())

    return {"recall": timed(by_recall), "parallel": timed(in_parallel)}


def speech(size: float) -> dict[str, float]:
    import torch

    from hicm.systems.captioner.batch import Batch, pad
    from hicm.systems.captioner.decode import generate_from
    from hicm.systems.captioner.model import Captioner, make_t5
    from hicm.systems.captioner.parts import encode_parts
    from hicm.systems.captioner.settings import DecodeSettings, Settings
    from hicm.systems.captioner.vocabulary import EOS

    torch.manual_seed(0)
    sizes = {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_heads": 8, "num_layers": 6, "num_decoder_layers": 6,
             "tie_word_embeddings": False}
    settings = Settings(t5="scratch", t5_config=sizes, visual_depth=6)
    model = Captioner(settings, make_t5(settings, 32200, 32100), WIDTH, 100, WIDTH).eval()
    none = torch.zeros(1, 0, dtype=torch.int64)
    batch = Batch(("video",), (100.0,), torch.randn(1, 100, WIDTH), torch.ones(1, 100, dtype=torch.bool),
                  torch.randn(1, WINDOWS, WIDTH), torch.ones(1, WINDOWS, dtype=torch.bool),
                  pad([[*torch.randint(3, 32200, (int(size) - 1,)).tolist(), EOS]]), none, none, none, none)
    with torch.inference_mode():
        parts = encode_parts(model, batch)
        return {"encoding": timed(lambda: encode_parts(model, batch)),
                "decoding": timed(lambda: generate_from(model, parts, DecodeSettings(max_tokens=NEW_TOKENS)))}


def bank(size: float) -> dict[str, float]:
    from hicm.config import RetrievalConfig
    from hicm.memory.bank import Bank, Leaves, Level
    from hicm.retrieval.reader import Reader

    rng, count = np.random.default_rng(0), int(size)
    below = rng.standard_normal((count, WIDTH), np.float32)
    texts = tuple(TEXTS[i % len(TEXTS)] for i in range(count))
    leaves = Leaves(texts, below, tuple(f"video{i // EVENTS:07d}" for i in range(count)), np.arange(count))
    levels = []
    while len(below) > 10 and len(levels) < 5:  # about 4.4 captions a node, as for YouCook2
        nodes = round(len(below) / 4.4)
        children = tuple(np.array_split(rng.permutation(len(below)), nodes))
        firsts = np.array([ids[0] for ids in children])
        below = below[firsts]
        levels.append(Level(tuple(texts[0] for _ in firsts), below, children, np.zeros(nodes, np.int64)))
    memory, frames = Bank(tuple(levels), leaves), rng.standard_normal((8, 100, WIDTH), np.float32)
    mask = np.ones(frames.shape[:2], bool)
    found = {}
    for name, settings in {"descend": {}, "flat, level 1": {"search": "flat"},
                           "flat, captions": {"search": "flat", "flat_level": 0}}.items():
        reader = Reader(memory, RetrievalConfig(**settings))
        found[name] = timed(lambda r=reader: r.read(frames, mask)) / len(frames)
    return found


def videos(size: float) -> dict[str, float]:
    from hicm.data.annotations import read_annotations
    from hicm.dvc_eval import evaluate

    rng, entries, predictions = np.random.default_rng(0), {}, {}
    for number in range(int(size)):
        edges = np.sort(rng.uniform(0, 300, (2, EVENTS, 2)), axis=2).round(2).tolist()
        said = [f"{TEXTS[rng.integers(len(TEXTS))]} {rng.integers(1000)}" for _ in range(EVENTS)]
        entries[f"video{number:07d}"] = {"duration": 300.0, "timestamps": edges[0], "sentences": said}
        predictions[f"video{number:07d}"] = [
            {"sentence": TEXTS[rng.integers(len(TEXTS))], "timestamp": times} for times in edges[1]]
    with TemporaryDirectory() as folder:
        files = Path(folder, "references.json"), Path(folder, "predictions.json")
        files[0].write_text(json.dumps(entries))
        files[1].write_text(json.dumps({"results": predictions}))
        del entries, predictions
        reading = timed(lambda: read_annotations(files[0]))
        return {"reading": reading,
                "scoring": timed(lambda: evaluate(str(files[1]), str(files[0]), jobs=1))}


PARTS = {"hours": hours, "speech": speech, "bank": bank, "videos": videos}


# the table and the picture

def point(part: str, size: float) -> dict[str, Any]:
    """One point in a process of its own: {"seconds": {step: s}, "peak": MiB}."""
    root = Path(__file__).resolve().parent.parent
    setting = {**os.environ, "OMP_NUM_THREADS": "1",
               "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.run([sys.executable, __file__, "--point", part, str(size)], stdout=subprocess.PIPE, text=True,
                             env=setting, check=False)
    if process.returncode:
        raise SystemExit(f"{part} of size {size:g} failed (status {process.returncode}; the message is above)")
    return json.loads(process.stdout.splitlines()[-1])


def measure(part: str, sizes: list[float]) -> list[dict[str, Any]]:
    """Print the table of a part as it grows; returns the points."""
    points: list[dict[str, Any]] = []
    for size in sizes:
        points.append({"size": size, **point(part, size)})
        seconds, names = points[-1]["seconds"], list(points[0]["seconds"])
        if len(points) == 1:
            print("", f"| {UNITS[part]} | {' | '.join(f'{name}, s' for name in names)} | peak MiB |",
                  f"|--:|{'--:|' * (len(names) + 1)}", sep="\n")
        print(f"| {size:,.10g} | {' | '.join(f'{seconds[name]:.3g}' for name in names)} "
              f"| {points[-1]['peak']:,.0f} |", flush=True)
    if len(points) > 1:
        a, b = points[-2:]
        steps = [math.log(b["seconds"][name] / a["seconds"][name]) / math.log(b["size"] / a["size"]) for name in names]
        print(f"| exponent at the end | {' | '.join(f'{step:.2f}' for step in steps)} | |", flush=True)
    return points


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """One panel per part, both axes logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(3.4 * len(found), 3.4), layout="constrained")
    for axes, (part, points) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        for name in points[0]["seconds"]:
            axes.loglog([one["size"] for one in points], [one["seconds"][name] for one in points], marker="o",
                        label=name)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(UNITS[part])
        axes.set_ylabel("processor seconds")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="hours, speech, bank, videos (default: all)")
    parser.add_argument("--sizes", type=float, nargs="+", help="other sizes, for one part")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="also draw the curves")
    parser.add_argument("--point", nargs=2, metavar=("PART", "SIZE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.point:
        seconds = PARTS[asked.point[0]](float(asked.point[1]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        print(json.dumps({"seconds": seconds, "peak": peak}))
        return
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    if asked.sizes and len(asked.parts) != 1:
        parser.error("--sizes needs exactly one part")
    found = {part: measure(part, list(asked.sizes or SIZES[part])) for part in asked.parts or PARTS}
    if asked.picture:
        draw(found, asked.picture)


if __name__ == "__main__":
    main()
