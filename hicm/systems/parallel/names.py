"""Weights under the names that CM2's and PDVC's code give them, and under ours."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from hicm.errors import UserError
from hicm.nn.weights import some

# Their prefix and ours; the first one that fits is replaced.
_PREFIXES = (
    (r"base_encoder\.pos_embed\.duration_embed_layer\.", "pyramid.duration."),
    (r"base_encoder\.input_proj\.(\d+)\.0\.", r"pyramid.convs.\1."),
    (r"base_encoder\.input_proj\.(\d+)\.1\.", r"pyramid.norms.\1."),
    (r"down_proj\.0\.LayerNorm\.", "projection.0.norm."),
    (r"down_proj\.0\.net\.1\.", "projection.0.linear."),
    (r"down_proj\.1\.LayerNorm\.", "projection.2.norm."),
    (r"down_proj\.1\.net\.1\.", "projection.2.linear."),
    (r"transformer\.level_embed$", "encoder.levels"),
    (r"transformer\.reference_points\.", "decoder.centre."),
    (r"transformer\.encoder\.layers\.(\d+)\.self_attn\.", r"encoder.layers.\1.attention."),
    (r"transformer\.encoder\.layers\.(\d+)\.(linear\d)\.", r"encoder.layers.\1.feed.\2."),
    (r"transformer\.encoder\.layers\.", "encoder.layers."),
    (r"transformer\.decoder\.layers\.(\d+)\.cross_attn\.", r"decoder.layers.\1.video."),
    (r"transformer\.decoder\.layers\.(\d+)\.self_attn\.", r"decoder.layers.\1.queries."),
    (r"transformer\.decoder\.layers\.(\d+)\.text_cross\.", r"decoder.layers.\1.recalled."),
    (r"transformer\.decoder\.layers\.(\d+)\.(linear\d)\.", r"decoder.layers.\1.feed.\2."),
    (r"transformer\.decoder\.layers\.", "decoder.layers."),
    (r"transformer\.decoder\.bbox_head\.", "decoder.boxes."),
    (r"query_embed\.", "decoder.embeddings."),
    (r"class_head\.(\d+)\.", r"heads.\1.event."),
    (r"count_head\.(\d+)\.", r"heads.\1.count."),
    (r"caption_head\.0\.embed\.", "captions.embeddings."),
    (r"caption_head\.0\.logit\.", "captions.words."),
    (r"caption_head\.0\.core\.rnn\.weight_ih_l0$", "captions.inputs.weight"),
    (r"caption_head\.0\.core\.rnn\.weight_hh_l0$", "captions.hidden.weight"),
    (r"caption_head\.0\.core\.deformable_att\.", "captions."),
    (r"caption_head\.0\.core\.ctx2att\.", "captions.keys."),
    (r"caption_head\.0\.core\.h2att\.", "captions.state."),
    (r"caption_head\.0\.core\.alpha_net\.", "captions.score."),
)

# Second names: these weights are stored twice.  The captioner is one for all decoder layers.
_ALIASES = ((r"caption_head\.\d+\.", "caption_head.0."), (r"bbox_head\.", "transformer.decoder.bbox_head."))

# Weights that the released code never reads, by a name for all of them: which, and why.
DEAD = {
    "clip_model": (r"clip_model\.", "CLIP, for a contrastive loss that is switched off"),
    "cls_token": (r"cls_token$", "for encoders of recalled text that were not used"),
    "text_positional_encoding": (r"text_positional_encoding\.", "for encoders of recalled text that were not used"),
    "text_transformer_layers": (r"text_transformer_layers\.", "for encoders of recalled text that were not used"),
    "pos_embed": (r"pos_embed\.", "the positions of recalled text have no duration"),
    "norm_t": (r"transformer\.decoder\.layers\.\d+\.norm_t\.", "the norm after the video is applied again instead"),
    "pos_trans": (r"transformer\.pos_trans(_norm)?\.", "for captions of given events"),
    "attention_weights, output_proj of the captioner": (
        r"caption_head\.\d+\.core\.deformable_att\.(attention_weights|output_proj)\.", "computed and not used"),
}
_DEAD = re.compile("|".join(pattern for pattern, _ in DEAD.values()))
_LIGHT = "caption_head.0.rnn."  # PDVC's smaller captioner

_PARTS = (("sampling_offsets.", "offsets."), ("attention_weights.", "weights."), ("value_proj.", "values."),
          ("output_proj.", "output."), ("recalled.q.", "recalled.queries."), ("recalled.k.", "recalled.keys."),
          ("recalled.v.", "recalled.values."), ("recalled.proj.", "recalled.output."))


def dead_weights(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Which of ``names`` the released code never reads: how many, and why, by the keys of `DEAD`."""
    counts = Counter(group for name in names for group, (pattern, _) in DEAD.items() if re.match(pattern, name))
    return {group: {"tensors": counts[group], "why": why} for group, (_, why) in DEAD.items() if counts[group]}


def is_live(name: str) -> bool:
    """Whether a name is none of the `DEAD` weights."""
    return not _DEAD.match(name)


def own_name(name: str) -> str:
    """Our name of a weight of the released models; '' for those that their code never reads, and for unknown ones.

    >>> own_name("transformer.decoder.layers.1.cross_attn.sampling_offsets.bias")
    'decoder.layers.1.video.offsets.bias'
    >>> own_name("caption_head.1.embed.weight"), own_name("transformer.decoder.layers.1.norm_t.bias")
    ('captions.embeddings.weight', '')
    """
    if _DEAD.match(name):
        return ""
    name = _first_name(name)
    for pattern, own in _PREFIXES:
        found, count = re.subn(f"^{pattern}", own, name)
        if count:
            for theirs, ours in _PARTS:
                found = found.replace(theirs, ours)
            return found
    return ""


def _first_name(name: str) -> str:
    for pattern, first in _ALIASES:
        name = re.sub(f"^{pattern}", first, name)
    return name


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal; what is no number equals itself, and is refused by its own name later."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def own_state(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The weights of a released model under our names, without those that its code never reads.

    Raises UserError when ``where``, the file, holds a name that is not CM2's or PDVC's, a weight under its second name
    only, or two values for one weight.
    """
    if any(name.startswith(_LIGHT) for name in state):
        raise UserError(f"{where}: has PDVC's light captioner ({_LIGHT}*), which hicm does not have; use a checkpoint "
                        "with the full one, such as anet_tsp_pdvc")
    found: dict[str, Tensor] = {}
    unknown, differ = [], []
    for name, value in state.items():
        own = own_name(name)
        if not own:
            if is_live(name):
                unknown.append(name)
        elif not _same(found.setdefault(own, value), value):
            differ.append(name)
    if unknown:
        raise UserError(f"{where}: holds {some(unknown)}, which CM2 and PDVC do not have; is it a checkpoint of "
                        "theirs?")
    if lacking := sorted({_first_name(name) for name in state if own_name(name)} - state.keys()):
        raise UserError(f"{where}: missing keys: {some(lacking)}, which are there under a second name only; is the "
                        "file complete, and was it trained with with_box_refine?")
    if differ:
        raise UserError(f"{where}: {some(differ)} differ from their copies under other names; is the file complete?")
    return found
