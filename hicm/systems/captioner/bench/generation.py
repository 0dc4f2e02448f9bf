"""Generation: ours, `generate` of transformers, and the authors' model; bytes that a token needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.bench.ends import Ends
from hicm.systems.captioner.bench.made_up import SIZES, Size, generation_batch, make_model
from hicm.systems.captioner.bench.reference import Reference
from hicm.systems.captioner.decode import generate_from
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.parts import encode_parts
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD

Ids = list[list[int]]  # of every video, from the decoder start token to the end


class GenerationCase:
    """A model and videos of a size, which all sides take at once.

    The model has an output head of its own: random weights with a tied one say the same token again and again.  All
    sides are told where each video ends (`Ends`).
    """

    def __init__(self, size: str, device: str) -> None:
        self.size: Size = SIZES[size]
        self.model: Captioner = make_model(self.size, device, tied=False)
        self.model.t5.set_attn_implementation("sdpa")  # of `plain`; ours does not use it
        self.batch: Batch = generation_batch(self.size, device)
        self.videos = self.size.videos
        self.ends = Ends(self.videos, self.size.tokens, device)

    def describe(self) -> dict[str, Any]:
        """Who generates how much from what."""
        return {"parameters": sum(parameter.numel() for parameter in self.model.parameters()),
                "videos_at_once": self.videos, "frames": self.size.frames, "recalled": self.batch.memory.shape[1],
                "speech_tokens": self._lengths(), "generated_tokens": self.ends.tokens.tolist(),
                "most_tokens": self.size.tokens}

    @torch.inference_mode()
    def ours(self, beams: int) -> Ids:
        """As `hicm predict` with captioner.decode.batch at the number of videos, but that `Ends` is the grammar."""
        settings = DecodeSettings(batch=self.videos, beams=beams, max_tokens=self.size.tokens)
        return list(map(until_end, generate_from(self.model, encode_parts(self.model, self.batch), settings,
                                                 self.ends)))

    @torch.inference_mode()
    def encode(self) -> None:
        """What `ours` does before the first token."""
        encode_parts(self.model, self.batch)

    @torch.inference_mode()
    def plain(self, beams: int, most: int | None = None) -> Ids:
        """The stock T5 with fused attention and `generate` of transformers; ``most``: tokens, default: of the size."""
        states, mask = self.model.encode(self.batch)
        ids: Tensor = self.model.t5.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(), do_sample=False,
            past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()), num_beams=beams,
            max_new_tokens=most or self.size.tokens, logits_processor=self.ends.processors(beams))
        return list(map(until_end, ids.tolist()))

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
        generated = [len(one) - 1 for one in ids]
        steps = max(generated)
        read = sum(weights + row * sum(state + beams * said for state, last in zip(states, generated, strict=True)
                                       if last > said) for said in range(steps))
        return read, steps

    def _lengths(self) -> list[int]:
        return (self.batch.speech != PAD).sum(1).tolist()


class ReferenceGeneration:
    """The authors' model on the videos of a case."""

    def __init__(self, reference: Reference, case: GenerationCase) -> None:
        self.reference, self.case = reference, case

    def __call__(self, beams: int, most: int | None = None) -> Ids:
        """As `GenerationCase.plain`."""
        return list(map(until_end, self.reference.generate(
            self.case.batch, beams, most or self.case.size.tokens, self.case.ends.processors(beams))))


def until_end(ids: Sequence[int]) -> list[int]:
    """Ids without padding."""
    ids = list(ids)
    return ids[:ids.index(EOS) + 1] if EOS in ids else ids
