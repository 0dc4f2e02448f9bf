"""T5's attention: `hicm.nn.attention` where that is faster, the one of transformers elsewhere."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, T5ForConditionalGeneration
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from hicm.nn.attention import attend, is_faster

NAME = "hicm"


def use_fast_attention(t5: T5ForConditionalGeneration) -> None:
    """Let encoder and decoder compute attention here; one that was loaded to attend in another way is left as it is."""
    if t5.config._attn_implementation == "sdpa":
        t5.set_attn_implementation(NAME)


def _attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
               dropout: float = 0.0, scaling: float = 1.0, position_bias: Tensor | None = None,
               **others: Any) -> tuple[Tensor, None]:
    """What transformers asks of an attention function: [B, H, L, d] -> [B, L, H, d], and no weights."""
    if not is_faster(query) or (attention_mask is not None and attention_mask.dtype != torch.bool):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling,
                                      position_bias=position_bias, **others)
    if attention_mask is None and module.is_causal and query.shape[2] > 1:
        attention_mask = torch.ones(1, 1, query.shape[2], key.shape[2], dtype=torch.bool).tril()
    out = attend(query, key, value, position_bias, attention_mask, scaling, dropout)
    return out.transpose(1, 2), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
