"""Captioners and videos of a size, with random weights and contents."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from hicm.systems.captioner.batch import Batch, pad
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.sequences import masked
from hicm.systems.captioner.settings import ObjectiveSettings, Settings
from hicm.systems.captioner.vocabulary import EOS

BINS, WINDOWS = 100, 10


@dataclass(frozen=True)
class Size:
    """Widths of the model, which are those of the features too, and amounts of the videos."""

    width: int
    heads: int
    hidden: int  # width of T5's feed-forward layers
    mlp: int  # of the visual encoder's
    layers: int  # of each of the three stacks
    pieces: int
    frames: int
    speech: int  # tokens, of a training step
    target: int
    batch: int  # videos of a training step
    videos: int  # of a generation, all at once
    shortest: int  # tokens of speech, of a generation
    longest: int
    tokens: int  # that are generated at most


SIZES = {
    "tiny": Size(64, 4, 128, 128, 2, 600, 10, 40, 20, 2, 4, 5, 40, 16),
    "small": Size(512, 8, 2048, 1024, 6, 32100, 100, 300, 100, 2, 8, 50, 500, 256),  # t5-small
    "base": Size(768, 12, 3072, 2048, 12, 32100, 100, 600, 150, 2, 16, 50, 1000, 256),  # t5-base, as HiCM2
}


def make_model(size: Size, device: str, tied: bool = True) -> Captioner:
    """A captioner with dropout as trained; ``tied``: its output head is the embedding, as in t5-base."""
    t5 = {"d_model": size.width, "d_kv": size.width // size.heads, "d_ff": size.hidden, "num_heads": size.heads,
          "num_layers": size.layers, "num_decoder_layers": size.layers, "tie_word_embeddings": tied}
    settings = Settings(t5="scratch", t5_config=t5, visual_depth=size.layers, visual_heads=size.heads,
                        visual_mlp=size.mlp)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = make_t5(settings, size.pieces + BINS, size.pieces)
        return Captioner(settings, made, size.width, size.frames, size.width).eval().to(device)


def training_batch(size: Size, device: str) -> Batch:
    """Videos that all have as many tokens; speech is masked as in training."""
    objective = ObjectiveSettings()
    noise, spans = masked(size.speech, objective.noise_density, objective.noise_span)
    lengths = {"speech": size.speech, "target": size.target, "noisy_speech": size.speech - noise + spans + 1,
               "noisy_target": noise + spans + 1}
    batch, random = _videos(size, size.batch)
    made: dict[str, Any] = {name: pad([_ids(size, length, random) for _ in range(size.batch)])
                            for name, length in lengths.items()}
    return replace(batch, **made).to(device)


def generation_batch(size: Size, device: str) -> Batch:
    """Videos in mixed order, with evenly spread amounts of speech."""
    batch, random = _videos(size, size.videos)
    lengths = torch.linspace(size.shortest, size.longest, size.videos)[torch.randperm(size.videos, generator=random)]
    return replace(batch, speech=pad([_ids(size, int(length), random) for length in lengths])).to(device)


def _videos(size: Size, count: int) -> tuple[Batch, torch.Generator]:
    random = torch.Generator().manual_seed(1)
    none = torch.zeros(count, 0, dtype=torch.int64)
    return Batch(tuple(f"video{number}" for number in range(count)), (100.0,) * count,
                 torch.randn(count, size.frames, size.width, generator=random),
                 torch.ones(count, size.frames, dtype=torch.bool),
                 torch.randn(count, WINDOWS, size.width, generator=random),
                 torch.ones(count, WINDOWS, dtype=torch.bool), none, none, none, none), random


def _ids(size: Size, length: int, random: torch.Generator) -> list[int]:
    return [*torch.randint(3, size.pieces + BINS, (length - 1,), generator=random).tolist(), EOS]
