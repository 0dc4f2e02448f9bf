"""Weights under the names that MESM's code gives them, and under ours."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

# Their name and ours; all that fit are replaced, one after the other.
_NAMES = (
    (r"^global_rep_token$", "encoder.token"),
    (r"^global_rep_pos$", "encoder.position"),
    (r"^(masked|unknown)_token$", r"\1"),
    (r"^enhance_encoder\.t2v_encoder\.", "frame_word."),
    (r"^t2v_encoder\.t2v_encoder\.", "aligner."),
    (r"^ss_reconstructor\.recon_trans\.", "sentence.stack."),
    (r"^ss_reconstructor\.masked_sent_token$", "sentence.token"),
    (r"^((?:frame_word|aligner|sentence\.stack)\.layers\.\d+)\.(norm[12])_1\.", r"\1.closings.1.\2."),
    (r"^((?:frame_word|aligner|sentence\.stack)\.layers\.\d+)\.(linear[12])_1\.", r"\1.closings.1.feed.\2."),
    (r"^((?:frame_word|aligner|sentence\.stack)\.layers\.\d+)\.(norm[12])\.", r"\1.closings.0.\2."),
    (r"^((?:frame_word|aligner|sentence\.stack)\.layers\.\d+)\.(linear[12])\.", r"\1.closings.0.feed.\2."),
    (r"^((?:frame_word|aligner|sentence\.stack)\.layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"^transformer\.encoder\.layers\.(\d+)\.self_attn\.", r"encoder.layers.\1.attention."),
    (r"^transformer\.(encoder|decoder)\.layers\.(\d+)\.(linear[12])\.", r"\1.layers.\2.feed.\3."),
    (r"^transformer\.(encoder|decoder)\.", r"\1."),
    (r"\.sa_qcontent_proj\.", ".own_content."),
    (r"\.sa_qpos_proj\.", ".own_place."),
    (r"\.sa_kcontent_proj\.", ".other_content."),
    (r"\.sa_kpos_proj\.", ".other_place."),
    (r"\.sa_v_proj\.", ".own_value."),
    (r"^(decoder\..*)\.self_attn\.out_proj\.", r"\1.own_output."),
    (r"\.ca_qcontent_proj\.", ".content."),
    (r"\.ca_qpos_proj\.", ".place."),
    (r"\.ca_kcontent_proj\.", ".frame_content."),
    (r"\.ca_kpos_proj\.", ".frame_place."),
    (r"\.ca_v_proj\.", ".frame_value."),
    (r"\.ca_qpos_sine_proj\.", ".sine."),
    (r"\.cross_attn\.out_proj\.", ".output."),
    (r"^decoder\.query_scale\.", "decoder.scale."),
    (r"^decoder\.ref_point_head\.", "decoder.place."),
    (r"^decoder\.ref_anchor_head\.", "decoder.length."),
    (r"^decoder\.bbox_embed\.", "decoder.boxes."),
    (r"^query_embed\.weight$", "decoder.anchors"),
    (r"^span_embed\.", "box."),
    (r"^class_embed\.", "label."),
    (r"^saliency_proj1\.", "salient."),
    (r"^saliency_proj2\.", "salient_pooled."),
    (r"^input_txt_proj\.", "text."),
    (r"^input_vid_proj\.", "video."),
    (r"^output_txt_proj\.1\.", "word_head.2."),
    (r"^output_txt_proj\.0\.", "word_head.0."),
    (r"^(text|video)\.1\.", r"\1.2."),
    (r"\.LayerNorm\.", ".norm."),
    (r"\.net\.1\.", ".linear."),
)

# Weights that are not needed, by the start of their names, and why.
UNUSED = {
    "txt_position_embed.": "positions of words, which the published code never reads",
    "ss_reconstructor.output_sent_proj.": "a projection of the sentence token, which it never reads",
    "text_encoder.": "the frozen encoder of words: moments.words has its own",
}


def is_used(name: str) -> bool:
    """Whether a name is none of the `UNUSED` weights."""
    return not name.startswith(tuple(UNUSED))


def own_name(name: str) -> str:
    """Our name of a weight that MESM's code calls ``name``.

    >>> own_name("t2v_encoder.t2v_encoder.layers.0.linear1.bias")
    'aligner.layers.0.closings.0.feed.linear1.bias'
    """
    for pattern, ours in _NAMES:
        name = re.sub(pattern, ours, name)
    return name


def own_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of MESM's code under our names, without what is not needed."""
    return {own_name(name): value for name, value in state.items() if is_used(name)}


def unused_weights(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Which of ``names`` are not needed: how many, and why, by the keys of `UNUSED`."""
    counts = Counter(start for name in names for start in UNUSED if name.startswith(start))
    return {start: {"tensors": counts[start], "why": why} for start, why in UNUSED.items() if counts[start]}
