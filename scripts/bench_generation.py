"""Speed of generation beside `generate` of transformers, with the same weights, at the size of t5-base.

    python scripts/bench_generation.py [--videos 16] [--together 16] [--tokens 256] [--layers 12] [--repeat 3]
                                       [--beams 1 4] [--attention sdpa] [--reference FOLDER]

The model has t5-base's widths and made-up weights, and an output head of its own: made-up weights with a tied one say
the same token again and again.  Videos have 100 frames, 10 recalled vectors and 50 to 1,000 tokens of speech, made up
as well: an even spread, for want of real transcripts, up to what the published systems read at most.  Such a model
hardly ever ends a sequence.  So both sides are told after how many tokens each video ends: numbers spread as those of
YouCook2's validation captions are, at most --tokens.

The reference does what the evaluation of the published code does: it pads --together videos to the longest of them,
encodes them, and lets `generate` run until the last has ended.  It is the stock T5 of transformers with its fused
attention, or with --attention eager without; --reference names a checkout of HiCM2 or VidChapters, whose own T5 is run
in its place (`bench_generation_released.py`).  Ours gets all videos at once.  Both sides run in one process and take
turns in every repeat.  Seconds are processor time, wall time in brackets; ratios are reference / ours.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from hicm.systems.captioner.batch import Batch, pad
from hicm.systems.captioner.decode import generate_from
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.parts import encode_parts
from hicm.systems.captioner.settings import DecodeSettings, Settings
from hicm.systems.captioner.vocabulary import EOS

PIECES, BINS, WIDTH, FRAMES, RECALLED = 32100, 100, 768, 100, 10
SHORTEST, LONGEST = 50, 1000  # tokens of speech
# Percentiles of the tokens of YouCook2's validation captions, with times and end, by T5's tokenizer.
PERCENTILES, CAPTIONS = (0, 5, 25, 50, 75, 95, 100), (27, 52, 72, 94, 124, 194, 357)


def make_model(layers: int) -> Captioner:
    """A captioner of t5-base's widths, with so many layers in each of its three stacks."""
    torch.manual_seed(0)
    sizes = {"d_model": WIDTH, "d_kv": 64, "d_ff": 3072, "num_heads": 12, "num_layers": layers,
             "num_decoder_layers": layers, "tie_word_embeddings": False}
    settings = Settings(t5="scratch", t5_config=sizes, visual_depth=layers)
    return Captioner(settings, make_t5(settings, PIECES + BINS, PIECES), WIDTH, FRAMES, WIDTH).eval()


def make_batch(videos: int) -> Batch:
    """Videos in mixed order, with evenly spread amounts of speech."""
    random = torch.Generator().manual_seed(1)
    lengths = torch.linspace(SHORTEST, LONGEST, videos)[torch.randperm(videos, generator=random)].int().tolist()
    speech = [[*torch.randint(3, PIECES + BINS, (length - 1,), generator=random).tolist(), EOS] for length in lengths]
    none = torch.zeros(videos, 0, dtype=torch.int64)
    return Batch(tuple(map(str, range(videos))), (100.0,) * videos,
                 torch.randn(videos, FRAMES, WIDTH, generator=random), torch.ones(videos, FRAMES, dtype=torch.bool),
                 torch.randn(videos, RECALLED, WIDTH, generator=random),
                 torch.ones(videos, RECALLED, dtype=torch.bool), pad(speech), none, none, none, none)


class Ends:
    """Ends each video after its number of tokens, and not before; a rule of `hicm.systems.captioner.search`."""

    def __init__(self, videos: int, longest: int) -> None:
        places = (np.random.default_rng(2).permutation(videos) + 0.5) * 100 / videos
        self.tokens = torch.from_numpy(np.interp(places, PERCENTILES, CAPTIONS).astype(int)).clamp(max=longest)

    def __call__(self, ids: Tensor, scores: Tensor, videos: Tensor) -> Tensor:
        over = self.tokens[videos] <= ids.shape[1]
        scores[:, EOS] = -torch.inf
        scores[over] = -torch.inf
        scores[over, EOS] = 0.0
        return scores


def rows(batch: Batch, start: int, end: int) -> Batch:
    """Some videos of a batch, padded to the longest of them."""
    some = replace(batch, **{field.name: getattr(batch, field.name)[start:end] for field in fields(batch)})
    return replace(some, speech=some.speech[:, :int((some.speech != 0).sum(1).max())])


def reference(model: Captioner, batch: Batch, settings: DecodeSettings, together: int,
              watch: Callable[[str], None], ends: Ends | None = None) -> list[list[int]]:
    """Ids by the stock T5 and `generate`."""
    found: list[list[int]] = []
    for start in range(0, len(batch.ids), together):
        states, mask = model.encode(rows(batch, start, start + together))
        watch("encoding")
        ids: Tensor = model.t5.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(), do_sample=False,
            past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()), num_beams=settings.beams,
            max_new_tokens=settings.max_tokens, logits_processor=as_processors(ends, start, settings.beams))
        watch("decoding")
        found += ids.tolist()
    return [until_end(one) for one in found]


def as_processors(ends: Ends | None, start: int, beams: int) -> LogitsProcessorList:
    """The same rule for `generate`, whose first row is of video ``start``."""
    if ends is None:
        return LogitsProcessorList()
    return LogitsProcessorList([lambda ids, scores: ends(ids, scores, start + torch.arange(len(ids)) // beams)])


def ours(model: Captioner, batch: Batch, settings: DecodeSettings, watch: Callable[[str], None],
         ends: Ends | None = None) -> list[list[int]]:
    """Ids by `hicm.systems.captioner.decode`."""
    parts = encode_parts(model, batch)
    watch("encoding")
    found = generate_from(model, parts, settings, ends)
    watch("decoding")
    return [until_end(one) for one in found]


def until_end(ids: list[int]) -> list[int]:
    """Ids without padding."""
    return ids[:ids.index(EOS) + 1] if EOS in ids else ids


Reference = Callable[[Captioner, Batch, DecodeSettings, int, Callable[[str], None], "Ends | None"], list[list[int]]]


class Watch:
    """Processor and wall seconds by name, since the call before."""

    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = {}
        self.last = self.now()

    @staticmethod
    def now() -> tuple[float, float]:
        return time.process_time(), time.perf_counter()

    def __call__(self, name: str) -> None:
        now, before = self.now(), self.spent.get(name, (0.0, 0.0))
        self.spent[name] = (before[0] + now[0] - self.last[0], before[1] + now[1] - self.last[1])
        self.last = now

    def total(self) -> tuple[float, float]:
        return sum(cpu for cpu, _ in self.spent.values()), sum(wall for _, wall in self.spent.values())


def row(what: str, repeat: int, theirs: tuple[float, float], own: tuple[float, float]) -> str:
    """A row of the table."""
    return (f"| {what} | {repeat} | {theirs[0]:.1f} ({theirs[1]:.1f}) | {own[0]:.1f} ({own[1]:.1f}) | "
            f"{theirs[0] / own[0]:.1f} ({theirs[1] / own[1]:.1f}) |")


def compare(theirs: Reference, model: Captioner, batch: Batch, settings: DecodeSettings, together: int, repeat: int,
            ends: Ends) -> str:
    """Print rows of the table for one repeat; say whether ids are equal."""
    how, watches = f"{settings.beams} beam(s)", (Watch(), Watch())
    found = theirs(model, batch, settings, together, watches[0], ends)
    watches[1].last = Watch.now()
    own = ours(model, batch, settings, watches[1], ends)
    for part in ("encoding", "decoding"):
        print(row(f"{how}: {part}", repeat, watches[0].spent[part], watches[1].spent[part]))
    print(row(how, repeat, watches[0].total(), watches[1].total()), flush=True)
    same = sum(a == b for a, b in zip(found, own, strict=True))
    return (f"{how}, repeat {repeat}: the ids of {same} of {len(own)} videos are equal; {len(set().union(*own))} "
            f"different ids, {sum(map(len, own)) / len(own):.1f} per video, at most {max(map(len, own))}")


def main() -> None:
    """Print the table, and whether ids are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("videos", 16), ("together", 16), ("tokens", 256), ("layers", 12), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--reference", type=Path)
    asked = parser.parse_args()
    model, batch, ends = make_model(asked.layers), make_batch(asked.videos), Ends(asked.videos, asked.tokens)
    model.t5.set_attn_implementation(asked.attention)  # ours does not use it
    theirs: Reference = reference
    if asked.reference:
        from bench_generation_released import load
        theirs = load(asked.reference, model)
    print("| | repeat | reference | ours | reference / ours |\n|---|--:|--:|--:|--:|", flush=True)
    said = []
    with torch.inference_mode():
        for beams in asked.beams:
            settings = DecodeSettings(beams=beams, max_tokens=asked.tokens)
            said += [compare(theirs, model, batch, settings, asked.together, repeat, ends)
                     for repeat in range(1, asked.repeat + 1)]
    print("\n" + "\n".join(said))


if __name__ == "__main__":
    main()
