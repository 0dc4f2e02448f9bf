"""T5 models: from scratch, disk or hub, with a tied output head (T5) or one of their own (T5 v1.1, FLAN-T5).

In T5 one matrix [C, d] embeds the pieces and, transposed and scaled by d**-0.5, makes the logits.  T5 v1.1 and what
descends from it have a second matrix for the logits and no scaling.  `transformers` ties the two whenever it resizes
or retrains, whatever the checkpoint holds; here ``own_head`` in a `T5Config` keeps them apart.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import GenerationConfig, T5Config, T5ForConditionalGeneration

from hicm.errors import UserError, reason
from hicm.files import refuse_stand_ins
from hicm.loading import using_hub
from hicm.systems.captioner.vocabulary import EOS, PAD, searched

TYPES = ("t5", "mt5")  # model types with T5's parameters
HEAD, EMBEDDING = "lm_head.weight", "shared.weight"


class UntiedT5(T5ForConditionalGeneration):
    """A T5 whose output head is a matrix of its own."""

    _tied_weights_keys: ClassVar = {name: EMBEDDING for name in T5ForConditionalGeneration._tied_weights_keys
                                    if name != HEAD}


def is_untied(t5: T5ForConditionalGeneration) -> bool:
    """Whether the output head is a matrix of its own."""
    return t5.lm_head.weight is not t5.shared.weight


def t5_config(values: Mapping[str, Any]) -> T5Config:
    """A `T5Config` of plain values; ``tie_word_embeddings: false`` among them gives the model a head of its own."""
    config = T5Config(**{"decoder_start_token_id": PAD, **values})
    if values.get("tie_word_embeddings") is False:
        config.own_head = True  # T5Config itself sets tie_word_embeddings to True
    return config


def new_t5(config: T5Config) -> T5ForConditionalGeneration:
    """A T5 with random weights."""
    if not getattr(config, "own_head", False):
        return _settled(T5ForConditionalGeneration(config))
    t5 = UntiedT5(config)
    with torch.no_grad():
        # A tied head's input is scaled by d_model ** -0.5; this one's is not, so its weights are.
        t5.lm_head.weight.normal_(std=config.initializer_factor * config.d_model ** -0.5)
    return _settled(t5)


def read_config(name: str, offline: bool, what: str = "configuration") -> T5Config:
    """The configuration of the T5 of a hub name or folder.  Raises UserError when there is none, or not of a T5.

    ``what`` is sought, for errors.
    """
    try:
        with using_hub(name, offline) as closed:
            values, _ = T5Config.get_config_dict(name, local_files_only=bool(closed))
        if not values:
            raise FileNotFoundError("no config.json in it")
        config = t5_config(values)
    except Exception as error:  # damaged files can raise nearly anything
        refuse_stand_ins(name, "T5")
        raise UserError(f"captioner.t5: {name}: no T5 {what} found {searched(closed)} ({reason(error)}); give a hub "
                        "name, a folder, or 'scratch' with captioner.t5_config") from error
    if values.get("model_type") not in TYPES:
        raise UserError(f"captioner.t5: {name}: expected a T5, found a model of type {values.get('model_type')!r}; "
                        "give a T5, T5 v1.1 or FLAN-T5")
    if (config.pad_token_id, config.eos_token_id, config.decoder_start_token_id) != (PAD, EOS, PAD):
        raise UserError(f"captioner.t5: {name}: expected pad_token_id, eos_token_id and decoder_start_token_id {PAD}, "
                        f"{EOS} and {PAD}, found {config.pad_token_id}, {config.eos_token_id} and "
                        f"{config.decoder_start_token_id} in its config.json; give a T5 with T5's tokens")
    return config


def load_t5(name: str, offline: bool) -> T5ForConditionalGeneration:
    """The T5 of a hub name or folder in float32, with its own output head if it has one.

    Reads safetensors and pytorch_model.bin, whole or in parts; the latter as plain tensors.  Raises UserError when
    there are no weights, when some are missing or damaged, or when configuration and weights disagree on the head.
    """
    config, where = read_config(name, offline, "weights"), f"captioner.t5: {name}"
    own = getattr(config, "own_head", False)
    try:
        with using_hub(name, offline) as closed:
            t5, info = (UntiedT5 if own else T5ForConditionalGeneration).from_pretrained(
                name, config=config, local_files_only=bool(closed), dtype=torch.float32, output_loading_info=True)
    except Exception as error:  # damaged files can raise nearly anything
        refuse_stand_ins(name, "T5")
        raise UserError(f"{where}: no T5 weights found {searched(closed)} that can be read ({reason(error)}); give a "
                        "hub name, a folder, or 'scratch'") from error
    missing = sorted(info["missing_keys"])
    if own and HEAD in missing:
        raise UserError(f"{where}: config.json says tie_word_embeddings: false, but the weights have no {HEAD}; get "
                        "the complete checkpoint")
    if missing:
        raise UserError(f"{where}: the weights lack {len(missing)} of its parameters ({', '.join(missing[:3])}, ...); "
                        "get the complete checkpoint")
    for stack in ("encoder", "decoder"):
        if getattr(t5, stack).embed_tokens.weight is not t5.shared.weight:
            raise UserError(f"{where}: {stack}.embed_tokens.weight differs from {EMBEDDING}; T5 has one embedding")
    if is_untied(t5) and not own:
        if config.scale_decoder_outputs:
            raise UserError(f"{where}: config.json says that the output head is tied to the embedding, but {HEAD} "
                            f"differs from {EMBEDDING}; set tie_word_embeddings to false in config.json if the head "
                            "is its own, as in T5 v1.1")
        config.own_head = True  # a T5 v1.1 as transformers 5 saves it
        whole = UntiedT5(config)
        whole.load_state_dict(t5.state_dict())
        t5 = whole
    return _settled(t5)


@torch.no_grad()
def resize(t5: T5ForConditionalGeneration, text_size: int, size: int) -> None:
    """Give embedding and output head ``size`` rows, those from ``text_size`` on new.

    New rows of the embedding are drawn from N(0, 1), as in Vid2Seq, those of a head of its own from a normal
    distribution with the mean norm of the head's other rows.
    """
    t5.resize_token_embeddings(text_size, mean_resizing=False)
    t5.resize_token_embeddings(size, mean_resizing=False)
    t5.shared.weight[text_size:].normal_()
    if is_untied(t5):
        t5.lm_head.weight[text_size:].normal_()
        match_norms(t5.lm_head.weight, size - text_size)


@torch.no_grad()
def match_norms(weight: Tensor, rows: int) -> None:
    """Scale the last ``rows`` of a matrix by one factor, so that their mean norm is that of the others."""
    if not rows:
        return
    weight[-rows:] *= weight[:-rows].norm(dim=1).mean() / weight[-rows:].norm(dim=1).mean()


def _settled(t5: T5ForConditionalGeneration) -> T5ForConditionalGeneration:
    """The model without ways to generate of its own, such as forbidden repetitions: settings decide."""
    t5.generation_config = GenerationConfig(pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=PAD)
    return t5
