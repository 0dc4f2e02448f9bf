"""Loading of training batches, and its share in a training step: the data of the demo, with more speech."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hicm.config import Config, load_config
from hicm.data.kept import LIMIT
from hicm.data.samples import open_samples
from hicm.files import read_json, write_json
from hicm.recipes.bench.race import Asked, Run, race, to_json
from hicm.recipes.demo.dataset import make_dataset
from hicm.recipes.demo.grammar import FILLERS
from hicm.rooms import room_module
from hicm.stages.build_memory import build_memory
from hicm.stages.retrieve import with_recall
from hicm.systems.base import Learner, find_system
from hicm.training.batches import plan_epoch
from hicm.training.speed import Step, card_peak, waiter

ORDER, TORCH = 1, True
FIRST, LATER = "captioner's loader, first epoch", "captioner's loader, later epochs"
PLAIN, STEP = "plainly, features in memory", "a training step"
VIDEOS = {"tiny": 4, "small": 32, "base": 64}
SEGMENTS = {"tiny": 5, "small": 40, "base": 75}  # of speech in each video, eight tokens on average


def measure(asked: Asked) -> dict[str, Any]:
    """Batches of two videos are loaded, all of an epoch; files that stay in the system's cache are read once before.

    The first epoch reads features and recalled vectors from their files; later ones find them prepared
    (`hicm.data.kept`).  Plainly: features in memory, frames chosen one by one, each text tokenised in each epoch.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked.say("data and memory")
        with _silence():
            config = make_data(Path(folder), asked.size)
            build_memory(config)
            samples = with_recall(config, open_samples(config.data, "train"), "train", Path(folder, "recalled.h5"),
                                  training=True)
        kind = find_system(config.system)
        assert issubclass(kind, Learner)
        system = kind.prepare(config, Path(folder), samples)
        micro = [batch for step in plan_epoch(len(samples), config.train.batch, 1, 1, 0, 0, 0) for batch in step]
        room = room_module("captioner", "bench.loading")
        plain = room.PlainLoader(system, samples)
        loaded = next(iter(system.batches(micro[:1]))).to(asked.device)
        system.module.to(asked.device)
        step = Step((system.module, lambda: system.total(system.module(loaded).float(), system.counts(loaded)),
                     system.after_step), asked.device)
        units = {"videos": len(samples), "batches": len(micro)}
        timed = race([Run(FIRST, lambda: [batch.ids for batch in room.first_epoch(system, samples, micro)],
                          count=lambda _: units),
                      Run(LATER, lambda: [batch.ids for batch in system.batches(micro)], FIRST, lambda _: units),
                      Run(PLAIN, lambda: [batch.ids for batch in plain.batches(micro)], FIRST, lambda _: units),
                      Run(STEP, step, count=lambda _: {"videos": config.train.batch, "batches": 1})], asked,
                     waiter(asked.device), lambda: card_peak(asked.device))
        pairs = zip(system.batches(micro), plain.batches(micro), strict=True)
        same = all(plain.equal(one, other) for one, other in pairs)
    shares = {}
    for name in (FIRST, LATER, PLAIN):
        batch = timed[name].seconds / len(micro)
        shares[name] = batch / (batch + timed[STEP].seconds)
    return {"settings": {"videos": len(samples), "videos_per_batch": config.train.batch, "frames": config.data.frames,
                         "width": samples.width, "speech_tokens": loaded.speech.shape[1],
                         "train.workers": config.train.workers},
            "runs": to_json(timed), "shares": shares,
            "checks": [f"{PLAIN}: batches {'equal ours' if same else 'differ from ours'}"],
            "notes": [*(f"loading is {share:.1%} of a step, {name}" for name, share in shares.items()),
                      "the first epoch reads features and recalled vectors from files, the plain loader holds them in "
                      f"memory; later epochs find {LIMIT // 2**20} MiB of videos prepared, without train.workers"]}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without the bars and messages of the stages that make the data; warnings are shown afterwards."""
    with (open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere),
          contextlib.redirect_stderr(nowhere), warnings.catch_warnings(record=True) as found):
        yield
    for one in found:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def make_data(folder: Path, size: str) -> Config:
    """Write a data set, and return its settings with a captioner of the size."""
    sizes = room_module("captioner", "bench.made_up").SIZES[size]
    settings = make_dataset(folder, {"train": VIDEOS[size], "val": 1}, sizes.width)
    speech: dict[str, Any] = {}
    for split in ("train", "val"):
        for number, (video, entry) in enumerate(read_json(folder / f"{split}.json").items()):
            places = [entry["duration"] * place / SEGMENTS[size] for place in range(SEGMENTS[size] + 1)]
            texts = [FILLERS[(number + place) % len(FILLERS)] for place in range(SEGMENTS[size])]
            speech[video] = {"start": places[:-1], "end": places[1:], "text": texts}
    write_json(folder / "speech.json", speech)
    t5 = {"d_model": sizes.width, "d_kv": sizes.width // sizes.heads, "d_ff": sizes.hidden, "num_heads": sizes.heads,
          "num_layers": sizes.layers, "num_decoder_layers": sizes.layers}
    return load_config(settings, [
        f"data.frames={sizes.frames}", f"memory.path={folder / 'bank'}", "train.batch=2", f"captioner.t5_config={t5}",
        f"retrieval.windows={min(10, sizes.frames)}", f"captioner.visual_depth={sizes.layers}",
        f"captioner.visual_heads={sizes.heads}", f"captioner.visual_mlp={sizes.mlp}",
        "captioner.max_speech_tokens=1000", "captioner.max_caption_tokens=256",
        *(f"captioner.{part}_dropout=0.1" for part in ("visual", "encoder", "decoder")), "captioner.memory_dropout=0.5",
        "captioner.objective.denoising=1"])
