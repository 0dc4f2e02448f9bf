"""Speed of the system parallel, beside the public code of CM2 where --reference names a folder with it.

    git clone https://github.com/ailab-kyunghee/CM2_DVC FOLDER
    python scripts/bench_parallel.py --reference FOLDER [--videos 64] [--few 16] [--batch 8] [--repeat 3]

The network has the size of YouCook2 (width 512, 100 queries, 50 windows, 1,607 words) and made-up weights, the same on
both sides; videos of 200 to 320 rows and a bank of 9,586 captions are made up as well.  Both sides run in one process
and take turns after every --batch videos, on one thread; the reference gets them one at a time, as it cannot do
otherwise.  Seconds are processor time; ratios are reference / ours, of processor time and of wall time.

Prediction of --videos is timed, and on --few videos memory reads, prediction in other ways, and training.  Left out of
the reference's time, as the result does not need it: CLIP's text encoder, the losses during prediction, the choice of
the best events.  Predicting and training, both sides are given what videos recall: ours reads the memory once, before
training, the reference in every step.  Outputs are compared on all --videos, every query captioned.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hicm.config import RetrievalConfig
from hicm.memory.bank import Bank, Leaves, Level
from hicm.retrieval.reader import Reader
from hicm.systems.parallel.batch import Item, collate
from hicm.systems.parallel.decode import Candidate, candidates, choose, describe
from hicm.systems.parallel.losses import ACTIVITYNET, NAMES, LossModule
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.names import own_name, own_state
from hicm.systems.parallel.settings import DecodeSettings, ObjectiveSettings, Settings
from hicm.systems.parallel.vocabulary import Vocabulary, load_vocabulary
from hicm.training.optim import optimiser_step

WIDTH, WORDS, WINDOWS, NEAREST, CAPTIONS, TOPICS = 768, 1607, 50, 80, 9586, 400
THEIRS = ("loss_ce", "loss_giou", "loss_bbox", "loss_counter", "loss_caption")  # in the order of NAMES
CLIP, RATE = 100.0, 5e-5
RELEASED = DecodeSettings(empty="keep")
# Scales of made-up weights by the end of our names: scores, segments and sentences that differ between queries
SCALES = {"boxes.0.layers.2.weight": 0.12, "boxes.1.layers.2.weight": 0.12, "embeddings.weight": 1.0, "levels": 1.0,
          "captions.embeddings.weight": 2.0, "captions.words.weight": 0.3, "captions.offsets.weight": 0.01,
          "video.offsets.weight": 0.02, "offsets.bias": 2.0, "captions.score.weight": 0.1, "event.weight": 0.1}
END = 2.6  # scale of the weights of the end of a sentence

Work = Callable[[list[int]], object]  # on some videos


# what is made up

def weights(model: Parallel, seed: int = 0) -> dict[str, Tensor]:
    """A state dict for the model."""
    rng, found = np.random.default_rng(seed), {}
    for name, value in model.state_dict().items():
        x = rng.standard_normal(value.shape).astype(np.float32)
        own = [scale for end, scale in SCALES.items() if name.endswith(end)]
        if value.dim() == 1 and name.endswith(".weight"):
            x = 1 + 0.1 * x
        else:
            x *= own[-1] if own else 0.05 if value.dim() == 1 else 0.04
        found[name] = torch.from_numpy(x)
    for layer in range(len(model.decoder.boxes)):
        found[f"decoder.boxes.{layer}.layers.2.bias"][1] -= 0.7
    found["captions.words.bias"][0] += 1
    found["captions.words.weight"][0] *= END
    return found


def make_bank(rng: np.random.Generator, topics: np.ndarray) -> Bank:
    rows = topics[rng.integers(0, TOPICS, CAPTIONS)] + 0.5 * rng.standard_normal((CAPTIONS, WIDTH))
    vectors, texts = rows.astype(np.float16).astype(np.float32), tuple(f"caption {row}" for row in range(CAPTIONS))
    root = Level(("root",), vectors[:1], (np.arange(CAPTIONS),), np.full(1, -1, np.int64))
    return Bank((root,), Leaves(texts, vectors, texts, np.zeros(CAPTIONS, np.int64)), {})


def make_items(rng: np.random.Generator, topics: np.ndarray, count: int) -> list[Item]:
    """Videos of 200 to 320 rows with 3 to 10 events of 4 to 16 words, longest first, without what they recall."""
    found = []
    for number, length in enumerate(sorted(rng.integers(200, 321, count).tolist(), reverse=True)):
        rows = topics[rng.integers(0, TOPICS, length // 20 + 1)].repeat(20, 0)[:length]
        events = int(rng.integers(3, 11))
        edges = np.sort(rng.uniform(0, 1, (events, 2)), 1)
        boxes = np.stack([edges.mean(1), edges[:, 1] - edges[:, 0]], 1).astype(np.float32)
        sentences = [[0, *rng.integers(1, WORDS - 1, rng.integers(4, 17)).tolist(), 0] for _ in range(events)]
        found.append(Item(f"video{number:03d}", length + 0.3,
                          (rows + 0.5 * rng.standard_normal(rows.shape)).astype(np.float32),
                          np.zeros((0, WIDTH), np.float32), boxes, sentences))
    return found


# ours

class Ours:
    """The system with a memory reader."""

    def __init__(self, bank: Bank, vocabulary: Vocabulary, border: bool) -> None:
        self.model = Parallel(Settings(), WIDTH, WIDTH, len(vocabulary)).eval()
        self.model.load_state_dict(weights(self.model))
        self.model.border = border  # as the reference on the CPU; it costs the same
        self.reader = Reader(bank, RetrievalConfig(search="flat", flat_level=0, windows=WINDOWS, top_k=NEAREST,
                                                   tail="drop", leave_own_out=False))
        self.vocabulary = vocabulary
        self.losses = LossModule(self.model, ObjectiveSettings(), torch.tensor(ACTIVITYNET))
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=RATE, weight_decay=1e-4)

    def read(self, items: Sequence[Item]) -> list[np.ndarray]:
        """What they recall, one after the other as in `hicm.stages.retrieve`: windows differ in length."""
        return [self.reader.read(item.rows[None], np.ones((1, len(item.rows)), bool)).vectors[0] for item in items]

    def predict(self, items: Sequence[Item]) -> object:
        return describe(self.model, collate(items), self.vocabulary, RELEASED)

    def predict_all(self, items: Sequence[Item]) -> list[list[Candidate]]:
        """Every query captioned, whether it can be chosen or not."""
        batch = collate(items)
        with torch.no_grad():
            output = self.model(batch)
        return candidates(self.model, batch, output, [10 ** 6] * len(items), RELEASED)

    def step(self, items: Sequence[Item]) -> float:
        total = (self.losses(collate(items)) * self.losses.weights).sum() / len(items)
        total.backward()
        optimiser_step(self.model, self.optimiser, RATE, CLIP)
        return total.item()


# theirs

class Theirs:
    """The reference, with inputs in its form and our weights."""

    def __init__(self, folder: Path, items: Sequence[Item], bank: Bank, ours: Ours) -> None:
        from reference_cm2 import Reference

        self.code, self.items = Reference(folder), items
        state = self.code.model.state_dict()
        own = ours.model.state_dict()
        self.code.model.load_state_dict({name: own.get(own_name(name), value) for name, value in state.items()})
        found = own_state(self.code.model.state_dict(), "the reference")
        assert found.keys() == own.keys() and all(torch.equal(found[name], own[name]) for name in own)
        assert bank.leaves is not None
        # as float32, which is faster than the float16 of its loader
        self.code.bank = {"vid_sent_embeds": torch.from_numpy(np.array(bank.leaves.embeddings))[:, None]}
        self.batches = [self._batch(item) for item in items]

    def _batch(self, item: Item) -> dict[str, Any]:
        spans = [[float((c - w / 2) * item.duration), float((c + w / 2) * item.duration)] for c, w in item.boxes]
        words = [np.array(ids) for ids in item.sentences]
        return self.code.collate([(item.rows, spans, [0] * len(spans), words, spans, item.duration,
                                   ["x"] * len(spans), item.id)])

    def read(self, rows: list[int]) -> list[Tensor]:
        self.code.give(None)
        return [self.code.model.softattention_select(self.code.bank, self.batches[row]["video_tensor"], True, {},
                                                     None)[1][0] for row in rows]

    def _each(self, rows: list[int], call: Callable[[dict[str, Any]], Any]) -> list[Any]:
        found = []
        for row in rows:
            self.code.give(torch.from_numpy(self.items[row].memory))
            found.append(call(self.batches[row]))
        return found

    def predict(self, rows: list[int]) -> list[Any]:
        self.code.model.eval()
        return self._each(rows, self.code.predict)

    def losses(self, rows: list[int]) -> list[dict[str, Tensor]]:
        return self._each(rows, self.code.losses)

    def step(self, rows: list[int]) -> list[float]:
        self.code.model.train()
        return self._each(rows, self.code.step)


# comparison

def compare(ours: Ours, expected: list[Any], items: list[Item], size: int) -> None:
    """Print how far outputs differ from the reference's."""
    equal, words, queries, limit = 0, 0, 0, 0
    apart: dict[str, float] = defaultdict(float)
    chosen, captioned = 0, 0
    ours.model.eval()
    for rows in chunks(len(items), size):
        some = [items[row] for row in rows]
        batch = collate(some)
        with torch.no_grad():
            output = ours.model(batch)
        numbers = output.layers[-1].counts.argmax(1).tolist()
        few = candidates(ours.model, batch, output, numbers, RELEASED)
        for row, found, kept, number in zip(rows, ours.predict_all(some), few, numbers, strict=True):
            raw, said = expected[row]
            assert number == int(raw["pred_count"].argmax()), "another number of events"
            captioned += len(kept)
            ids, logs = raw["seq"][0], raw["caption_probs"]["cap_prob_eval"][0]
            other = _theirs(ids, logs, said)
            queries += len(other)
            best = [(one.query, one.ids) for one in choose(kept, number, RELEASED)]
            chosen += best == [(one.query, one.ids) for one in choose(list(other.values()), number, RELEASED)]
            for one in found:
                same = one.ids == other[one.query].ids
                equal, words = equal + same, words + sum(map(bool, one.ids))
                limit += one.ids[-1] != 0
                apart["score"] = max(apart["score"], abs(one.event - other[one.query].event))
                spans = (one.span, other[one.query].span)
                apart["box"] = max(apart["box"], abs(spans[0].start - spans[1].start) / items[row].duration,
                                   abs(spans[0].end - spans[1].end) / items[row].duration)
                if same:
                    apart["log-probability per word"] = max(apart["log-probability per word"], abs(
                        one.words - other[one.query].words) / max(1, sum(map(bool, one.ids))))
    print(f"{equal} of {queries} sentences have the same word ids; {chosen} of {len(items)} videos the same chosen "
          f"events.  Largest differences: " + ", ".join(f"{name} {value:.1e}" for name, value in apart.items()) + ".")
    print(f"Words per sentence: {words / queries:.1f}, {limit / queries:.0%} reach the limit.  Queries captioned to "
          f"choose the events: {captioned} of {queries}.")


def _theirs(ids: Tensor, logs: Tensor, said: dict[str, Any]) -> dict[int, Candidate]:
    """The reference's events as candidates, by query."""
    from hicm.types import Span

    sums = (logs * (ids > 0)).sum(1).tolist()
    padded = torch.nn.functional.pad(ids, (0, RELEASED.max_words - ids.shape[1])).tolist()
    return {query: Candidate(query, Span(*span), score, padded[query], sums[query]) for query, span, score in
            zip(said["query_id"].tolist(), said["boxes"].tolist(), said["scores"].tolist(), strict=True)
            if any(span)}


def compare_losses(ours: Ours, theirs: Theirs, items: list[Item], rows: list[int]) -> None:
    """The same in training, without dropout."""
    switch_dropout(theirs.code.model.train(), False)
    switch_dropout(ours.model.train(), False)
    wanted = [name + end for end in ("", "_0") for name in THEIRS]
    with torch.no_grad():
        found = ours.losses(collate([items[row] for row in rows])).numpy() / len(rows)
        expected = np.mean([[float(one[name]) for name in wanted] for one in theirs.losses(rows)], 0)
    print(f"Losses of {len(rows)} videos without dropout: largest difference {np.abs(found - expected).max():.1e} "
          f"({', '.join(f'{name} {value:.3f}' for name, value in zip(NAMES, found, strict=False))}).\n")
    for model in (theirs.code.model, ours.model):
        switch_dropout(model, True)


def switch_dropout(model: torch.nn.Module, on: bool) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.MultiheadAttention):
            name = "p" if isinstance(module, torch.nn.Dropout) else "dropout"
            module.rate = getattr(module, "rate", getattr(module, name))
            setattr(module, name, module.rate if on else 0.0)


# time

def chunks(count: int, size: int) -> list[list[int]]:
    return [list(range(start, min(count, start + size))) for start in range(0, count, size)]


def race(runs: dict[str, Work], count: int, size: int, repeat: int) -> None:
    """Print a table: every run on all videos, taking turns after ``size`` of them."""
    first = next(iter(runs))
    for number in range(1, repeat + 1):
        seconds = {name: np.zeros(2) for name in runs}
        for rows in chunks(count, size):
            for name, work in runs.items():
                before = np.array([time.process_time(), time.perf_counter()])
                work(rows)
                seconds[name] += np.array([time.process_time(), time.perf_counter()]) - before
        for name, (cpu, wall) in seconds.items():
            ratios = seconds[first] / (cpu, wall)
            print(f"| {name} | {count} | {number} | {cpu:.1f} | {wall:.1f} | {1e3 * cpu / count:.0f} | "
                  f"{ratios[0]:.1f} | {ratios[1]:.1f} |", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="folder with the public code; without, ours alone")
    parser.add_argument("--videos", type=int, default=64, help="to predict")
    parser.add_argument("--few", type=int, default=16, help="videos for everything else")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args(arguments)
    if min(asked.videos, asked.few, asked.batch, asked.repeat) < 1:
        parser.error("expected numbers of 1 or more")
    if asked.reference and not (asked.reference / "cm2/cm2_ret_encdec_clip.py").is_file():
        parser.error(f"{asked.reference}: not the public code of CM2; clone it there")
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    topics = rng.standard_normal((TOPICS, WIDTH)).astype(np.float32)
    bank, items = make_bank(rng, topics), make_items(rng, topics, max(asked.videos, asked.few))
    path = asked.reference and asked.reference.resolve() / "data/yc2/vocabulary_youcook2.json"
    words = load_vocabulary(path) if path else Vocabulary([f"w{number}" for number in range(WORDS)])
    ours = Ours(bank, words, border=bool(asked.reference))
    items = [replace(item, memory=vectors) for item, vectors in zip(items, ours.read(items), strict=True)]
    theirs = asked.reference and Theirs(asked.reference.resolve(), items, bank, ours)
    print(f"{os.cpu_count()} CPUs, one thread, torch {torch.__version__}\n", flush=True)
    if theirs:
        apart = max(np.abs(theirs.read([row])[0].numpy() - items[row].memory).max() for row in range(asked.few))
        print(f"Recalled vectors of {asked.few} videos: largest difference {apart:.1e}.", flush=True)
        compare_losses(ours, theirs, items, list(range(min(asked.batch, asked.few))))
    print("| | videos | repeat | seconds | wall | ms per video | ratio | ratio, wall |",
          "|---|--:|--:|--:|--:|--:|--:|--:|", sep="\n", flush=True)

    def run(name: str, call: Callable[[Sequence[Item]], object], size: int) -> dict[str, Work]:
        return {f"{name}, ours, {size} at once": lambda rows: [call([items[rows[place]] for place in part]) for part in
                                                               chunks(len(rows), size)]}

    outputs: list[Any] = []  # the reference's of all videos

    def predict(rows: list[int]) -> None:
        found = theirs.predict(rows)
        if len(outputs) < asked.videos:
            outputs.extend(found)

    ours.model.eval()
    race({**({"prediction, reference": predict} if theirs else {}), **run("prediction", ours.predict, asked.batch)},
         asked.videos, asked.batch, asked.repeat)
    race({**({"prediction, reference": theirs.predict} if theirs else {}), **run("prediction", ours.predict, 1),
          **run("every query captioned", ours.predict_all, asked.batch)}, asked.few, asked.batch, asked.repeat)
    race({**({"memory, reference": theirs.read} if theirs else {}), **run("memory", ours.read, 1)},
         asked.few, asked.batch, asked.repeat)
    if theirs:
        compare(ours, outputs, items[:asked.videos], asked.batch)
    ours.model.train()
    race({**({"training, reference": theirs.step} if theirs else {}), **run("training", ours.step, 1),
          **run("training", ours.step, asked.batch)}, asked.few, asked.batch, asked.repeat)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
