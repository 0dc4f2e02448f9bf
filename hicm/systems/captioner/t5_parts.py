"""Parts of T5 that are faster here in training: attention (`hicm.nn.attention`), feed-forward layers under autocast."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, T5ForConditionalGeneration
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.t5.modeling_t5 import T5DenseActDense, T5DenseGatedActDense

from hicm.nn.attention import attend, is_faster

NAME = "hicm"


class FeedForward(T5DenseActDense):
    """The layer of transformers brings its hidden states to the type of the weights first: two casts under autocast."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[B, L, d] -> [B, L, d]."""
        return self.wo(self.dropout(self.act(self.wi(hidden_states))))


class GatedFeedForward(T5DenseGatedActDense):
    """As `FeedForward`, for T5 v1.1."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[B, L, d] -> [B, L, d]."""
        return self.wo(self.dropout(self.act(self.wi_0(hidden_states)) * self.wi_1(hidden_states)))


def use_fast_parts(t5: T5ForConditionalGeneration) -> None:
    """Swap the parts in place; a T5 that was loaded to attend in another way than by default keeps its attention."""
    if t5.config._attn_implementation == "sdpa":
        t5.set_attn_implementation(NAME)
    for module in t5.modules():
        if type(module) is T5DenseActDense:
            module.__class__ = FeedForward
        elif type(module) is T5DenseGatedActDense:
            module.__class__ = GatedFeedForward


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
