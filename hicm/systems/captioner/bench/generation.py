"""Generation: ours, `generate` of transformers, and the authors' model; bytes that a token needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.bench.made_up import BINS, SIZES, Size, generation_batch, make_model, rows
from hicm.systems.captioner.bench.reference import Reference
from hicm.systems.captioner.decode import generate
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.parts import encode_parts
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary, train_vocabulary

Ids = list[list[int]]  # of every video, from the decoder start token to the end


class GenerationCase:
    """A model and videos of a size.

    The model has an output head of its own: random weights with a tied one say the same token again and again.  It
    hardly ever ends a sequence before the limit.
    """

    def __init__(self, size: str, device: str) -> None:
        self.size: Size = SIZES[size]
        self.model: Captioner = make_model(self.size, device, tied=False)
        self.batch: Batch = generation_batch(self.size, device)
        self.vocabulary: Vocabulary = train_vocabulary(["add the salt and stir"] * 5, 30, BINS)  # only grammar reads it
        self.together = min(DecodeSettings().batch, self.size.videos)
        self.videos = self.size.videos

    def describe(self) -> dict[str, Any]:
        """Who generates how much from what."""
        return {"parameters": sum(parameter.numel() for parameter in self.model.parameters()), "videos": self.videos,
                "videos_at_once": self.together, "frames": self.size.frames, "recalled": self.batch.memory.shape[1],
                "speech_tokens": self._lengths(), "most_tokens": self.size.tokens}

    def ours(self, beams: int) -> Ids:
        """As `hicm predict`: most speech first, in batches."""
        settings, found = DecodeSettings(beams=beams, max_tokens=self.size.tokens), dict[int, list[int]]()
        for chosen in self._sorted():
            ids = generate(self.model, rows(self.batch, chosen), self.vocabulary, settings)
            found |= dict(zip(chosen, map(until_end, ids), strict=True))
        return [found[video] for video in range(self.videos)]

    @torch.inference_mode()
    def encode(self) -> None:
        """What `ours` does before the first token."""
        for chosen in self._sorted():
            encode_parts(self.model, rows(self.batch, chosen))

    @torch.inference_mode()
    def plain(self, beams: int) -> Ids:
        """The stock T5 and `generate` of transformers, on videos in the order given."""
        found: Ids = []
        for chosen in self._in_order():
            states, mask = self.model.encode(rows(self.batch, chosen))
            ids: Tensor = self.model.t5.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(),
                do_sample=False, past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()), num_beams=beams,
                max_new_tokens=self.size.tokens)
            found += map(until_end, ids.tolist())
        return found

    def reference(self, folder: Path) -> "ReferenceGeneration":
        """The authors' model with the same weights."""
        return ReferenceGeneration(Reference(folder, self.model), self)

    def bytes_of_tokens(self, ids: Ids, beams: int) -> tuple[int, int]:
        """Weights and caches that all steps of `ours` read, in bytes, and how many steps there are.

        A step reads the decoder's weights but for the keys and values of the encoder states, which are computed once;
        of every video that has not ended those keys and values, and of every beam what was said so far.
        """
        t5, size = self.model.t5, self.model.t5.shared.weight.element_size()
        once = {id(linear.weight) for block in t5.decoder.block
                for linear in (block.layer[1].EncDecAttention.k, block.layer[1].EncDecAttention.v)}
        weights = sum(p.nbytes for name, p in t5.decoder.named_parameters()
                      if id(p) not in once and not name.startswith("embed_tokens")) + t5.lm_head.weight.nbytes
        row = 2 * len(t5.decoder.block) * t5.config.num_heads * t5.config.d_kv * size  # a key and a value per layer
        states = [length + self.size.frames + self.batch.memory.shape[1] for length in self._lengths()]
        total = steps = 0
        for chosen in self._sorted():
            generated = [len(ids[video]) - 1 for video in chosen]
            for said in range(max(generated)):
                going = [video for video, length in zip(chosen, generated, strict=True) if length > said]
                total += weights + row * sum(states[video] + beams * said for video in going)
                steps += 1
        return total, steps

    def _lengths(self) -> list[int]:
        return (self.batch.speech != PAD).sum(1).tolist()

    def _sorted(self) -> list[list[int]]:
        lengths = self._lengths()
        return _cut(sorted(range(self.videos), key=lambda row: lengths[row], reverse=True), self.together)

    def _in_order(self) -> list[list[int]]:
        return _cut(list(range(self.videos)), self.together)


class ReferenceGeneration:
    """The authors' model on the videos of a case, in the order given."""

    def __init__(self, reference: Reference, case: GenerationCase) -> None:
        self.reference, self.case = reference, case

    def __call__(self) -> Ids:
        """Greedy ids."""
        found: Ids = []
        for chosen in self.case._in_order():
            found += map(until_end, self.reference.greedy(rows(self.case.batch, chosen), self.case.size.tokens))
        return found


def until_end(ids: Sequence[int]) -> list[int]:
    """Ids without padding."""
    ids = list(ids)
    return ids[:ids.index(EOS) + 1] if EOS in ids else ids


def _cut(videos: list[int], size: int) -> list[list[int]]:
    return [videos[start:start + size] for start in range(0, len(videos), size)]
