"""T5's encoder for generation, without padding: the numbers of `T5ForConditionalGeneration.encoder`.

Linear layers see the tokens of several videos in one row, attention sees one video at a time.  The position bias is
computed once, for the longest.

Shape legend: H heads, k width of a head, d T5 width, L tokens of one video, N tokens of several.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

from hicm.systems.captioner.vocabulary import PAD

AT_ONCE = 2048  # tokens: memory for larger results is returned to the system after each layer, and cleared again


def encode_packed(t5: T5ForConditionalGeneration, speech: Sequence[Tensor]) -> list[Tensor]:
    """Encoder states [L, d] of the ids [L] of each video; ids of padding among them are not attended to."""
    longest = max(map(len, speech), default=0)
    if not longest:
        return [t5.shared(ids) for ids in speech]
    bias = t5.encoder.block[0].layer[0].SelfAttention.compute_bias(longest, longest).contiguous()  # [1, H, L, L]
    return [states for videos in _chunks(speech) for states in _encode(t5, videos, bias)]


def _chunks(speech: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The videos in order, as many at once as have no more than `AT_ONCE` tokens together, at least one."""
    chunk: list[Tensor] = []
    for ids in speech:
        if chunk and sum(map(len, chunk)) + len(ids) > AT_ONCE:
            yield chunk
            chunk = []
        chunk.append(ids)
    yield chunk


def _encode(t5: T5ForConditionalGeneration, videos: Sequence[Tensor], bias: Tensor) -> tuple[Tensor, ...]:
    """Encoder states [L, d] of the ids [L] of each video, computed together."""
    sizes = [len(ids) for ids in videos]
    masks = [_with_padding(bias[:, :, :len(ids), :len(ids)], ids) for ids in videos]
    x = t5.shared(torch.cat(list(videos)))
    for block in t5.encoder.block:
        own, feed_forward = block.layer
        x = x + _attend(own.SelfAttention, own.layer_norm(x), sizes, masks)
        x = feed_forward(x)
    return t5.encoder.final_layer_norm(x).split(sizes)


def _with_padding(bias: Tensor, ids: Tensor) -> Tensor:
    """The bias [1, H, L, L] of one video, lowest where a key is padding."""
    padding = ids == PAD
    return bias.masked_fill(padding, torch.finfo(bias.dtype).min) if padding.any() else bias


def _attend(attention: T5Attention, x: Tensor, sizes: Sequence[int], masks: Sequence[Tensor]) -> Tensor:
    """Each video's tokens attend to each other, [N, d] -> [N, d]."""
    shape = len(x), attention.n_heads, attention.key_value_proj_dim
    shares = zip(*(linear(x).view(shape).transpose(0, 1)[None].split(list(sizes), 2)
                   for linear in (attention.q, attention.k, attention.v)), masks, strict=True)
    found = [scaled_dot_product_attention(query, key, value, mask, scale=1.0)[0].transpose(0, 1)
             for query, key, value, mask in shares]
    return attention.o(torch.cat(found).flatten(1))
