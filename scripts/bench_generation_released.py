"""The reference of `bench_generation.py` by the modules of the published code, with the same weights.

The published T5 and visual encoder are read from a checkout of HiCM2 or VidChapters, which nothing here contains:
``FOLDER/model/modeling_t5.py`` and ``FOLDER/model/vit.py``.  They were written for transformers 4.28; what that had and
the installed one lacks is put in at loading.  Their caches are tuples, which `generate` no longer takes, so one of its
caches carries them.  The search is that of the installed transformers, as for the other references.
"""

import copy
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from bench_generation import Ends, Reference, as_processors, rows, until_end
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, T5ForConditionalGeneration, pytorch_utils
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import PAD

PARALLEL = "transformers.utils.model_parallel_utils"  # gone; its two functions are not called here


def load(folder: Path, model: Captioner) -> Reference:
    """The reference by the modules in a folder, with the weights of a captioner."""
    t5 = _released_t5(folder, model.t5)
    frames = _read(folder / "model" / "vit.py").VisionTransformer(
        num_features=model.frames, embed_dim=model.feature_width, depth=model.config.visual_depth,
        num_heads=model.config.visual_heads, mlp_dim=model.config.visual_mlp).eval()
    frames.load_state_dict(model.visual_encoder.state_dict())  # type: ignore[union-attr]  # the benchmark's has one
    stand_in = _StandIn(model.t5, t5)

    def reference(model: Captioner, batch: Batch, settings: DecodeSettings, together: int,
                  watch: Callable[[str], None], ends: Ends | None = None) -> list[list[int]]:
        found: list[list[int]] = []
        for start in range(0, len(batch.ids), together):
            states, mask = _encode(model, t5, frames, rows(batch, start, start + together))
            watch("encoding")
            ids: Tensor = stand_in.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(), do_sample=False,
                past_key_values=_Carrier(t5), num_beams=settings.beams, max_new_tokens=settings.max_tokens,
                logits_processor=as_processors(ends, start, settings.beams))
            watch("decoding")
            found += ids.tolist()
        return [until_end(one) for one in found]

    return reference


def _encode(model: Captioner, t5: nn.Module, frames: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """States [B, S, d] and mask [B, S]: memory, frames, speech, in the order of the published code."""
    mask = batch.speech != PAD
    heard = t5.encoder(inputs_embeds=t5.shared(batch.speech), attention_mask=mask.long(), return_dict=True)
    recalled, _ = model.project_memory(batch.memory, batch.memory_mask)
    states = torch.cat([recalled, frames(batch.frames), heard.last_hidden_state], 1)
    return states, torch.cat([batch.memory_mask, batch.frame_mask, mask], 1)


class _Carrier(EncoderDecoderCache):
    """A cache of `generate` that holds the tuples of the published decoder."""

    def __init__(self, t5: nn.Module) -> None:
        super().__init__(DynamicCache(), DynamicCache())
        self.t5, self.tuples = t5, None

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0 if self.tuples is None else self.tuples[0][0].shape[2]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.tuples = self.t5._reorder_cache(self.tuples, beam_idx)


class _StandIn(T5ForConditionalGeneration):
    """What `generate` is called on: the published model computes."""

    def __init__(self, t5: T5ForConditionalGeneration, released: nn.Module) -> None:
        nn.Module.__init__(self)
        self.__dict__.update({name: value for name, value in copy.copy(t5).__dict__.items() if name != "forward"})
        self.__dict__["released"] = released

    def forward(self, decoder_input_ids: Tensor, past_key_values: _Carrier, encoder_outputs: BaseModelOutput,
                attention_mask: Tensor, **others: Any) -> Seq2SeqLMOutput:
        out = self.released(decoder_input_ids=decoder_input_ids[:, -1:], past_key_values=past_key_values.tuples,
                            encoder_outputs=encoder_outputs, attention_mask=attention_mask, use_cache=True,
                            return_dict=True)
        past_key_values.tuples = out.past_key_values
        return Seq2SeqLMOutput(logits=out.logits, past_key_values=past_key_values)


def _released_t5(folder: Path, t5: T5ForConditionalGeneration) -> nn.Module:
    """The published T5 with the weights of ``t5``."""
    stub = ModuleType(PARALLEL)
    stub.assert_device_map = stub.get_device_map = None  # type: ignore[attr-defined]
    sys.modules.setdefault(PARALLEL, stub)
    if not hasattr(pytorch_utils, "find_pruneable_heads_and_indices"):
        pytorch_utils.find_pruneable_heads_and_indices = None
    code = _read(folder / "model" / "modeling_t5.py")
    base = code.T5PreTrainedModel
    base.post_init = lambda self: None  # weights follow, and the head is not tied
    base.get_head_mask = lambda self, mask, layers: [None] * layers
    base.get_extended_attention_mask = lambda self, mask, shape: _additive(mask)  # a decoder sees one query at a time
    base.invert_attention_mask = lambda self, mask: _additive(mask)
    config = copy.deepcopy(t5.config)
    config._attn_implementation = "eager"
    config.use_cache, config.tie_word_embeddings = True, t5.config.scale_decoder_outputs
    released = code.T5ForConditionalGeneration(config)
    released.load_state_dict(t5.state_dict())
    return released.eval()


def _additive(mask: Tensor) -> Tensor:
    """What is added to scores, float32 [B, 1, 1, S], for a mask [B, S] of ones and zeros."""
    return (1.0 - mask[:, None, None].float()) * torch.finfo(torch.float32).min


def _read(path: Path) -> ModuleType:
    """A file of the checkout as a module."""
    spec = importlib.util.spec_from_file_location(f"released_{path.stem}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"{path}: not found; give --reference the folder of a checkout of HiCM2 or VidChapters")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
