"""Attention with a learnt bias and dropout that is fast on processors.

torch's fused kernels for processors have neither dropout nor gradients of the bias, so training takes a path there that
writes about ten matrices of all queries and keys.  Here one is kept for the backward pass: the softmax, in which those
dropped have a minus sign.  The softmax is computed in float32, whatever the inputs are.

Shapes: B videos, H heads, L queries, S keys, d width of a head.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hicm.nn.dropout import draw_mask, draws_masks, rounded

LOWEST = torch.finfo(torch.float32).min  # the score of what may not be attended to
AT_ONCE = 2**21  # elements of scores that are computed together, so that they stay in the cache


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, mask: Tensor | None, scale: float,
                rate: float) -> Tensor:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        b, h, length, _ = q.shape
        out = q.new_empty(b, length, h, v.shape[3]).transpose(1, 2)
        weights = q.new_empty(b, h, length, k.shape[2])
        keep = draw_mask(weights.shape, rate) if rate else None
        hidden = None if mask is None or mask.all() else ~mask
        kept = 1 / (1 - rounded(rate))
        for i, j in _parts(weights):
            scores = (q[i, j] @ k[i, j].transpose(2, 3)).float()
            if scale != 1:
                scores *= scale
            if bias is not None:
                scores += bias[:, j]
            if hidden is not None:
                scores.masked_fill_(hidden[i] if hidden.shape[1] == 1 else hidden[i, j], LOWEST)
            used = weights[i, j]
            used.copy_(scores.softmax(-1))
            if keep is not None:
                torch.where(keep[i, j], used, -used, out=used)
                used = used.relu()
            out[i, j] = (used @ v[i, j]).mul_(kept)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scale, ctx.kept, ctx.dropout = scale, kept, keep is not None
        ctx.bias = bias is not None and ctx.needs_input_grad[3]
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, weights = ctx.saved_tensors
        of_q, of_k, of_v = (x.new_empty(x.transpose(1, 2).shape).transpose(1, 2) for x in (q, k, v))
        make = weights.new_empty if len(q) else weights.new_zeros
        of_bias = make(1, *weights.shape[1:], dtype=torch.float32) if ctx.bias else None
        gradient = (gradient * ctx.kept).contiguous()
        for i, j in _parts(weights):
            p, g = weights[i, j], gradient[i, j]
            of_p, used = g @ v[i, j].transpose(2, 3), p
            if ctx.dropout:
                of_p, used, p = torch.ops.aten.threshold_backward(of_p, p, 0), p.relu(), p.abs()
            of_v[i, j] = used.transpose(2, 3) @ g
            of_scores = torch._softmax_backward_data(of_p, p, -1, p.dtype)
            if of_bias is not None:
                _add_rows(of_bias[:, j], of_scores, i.start == 0)
            if ctx.scale != 1:
                of_scores *= ctx.scale
            of_q[i, j] = of_scores @ k[i, j]
            of_k[i, j] = of_scores.transpose(2, 3) @ q[i, j]
        return of_q, of_k, of_v, of_bias, None, None, None


def _add_rows(total: Tensor, parts: Tensor, first: bool) -> None:
    """Add the rows of parts [n, ...] to total [1, ...], which holds nothing yet at the ``first`` time."""
    if len(parts) > 1:
        parts = parts.sum(0, keepdim=True, dtype=total.dtype)  # slow where there is nothing to sum
    if first:
        total.copy_(parts)
    else:
        total += parts


def _parts(weights: Tensor) -> list[tuple[slice, slice]]:
    """Some rows of the batch at a time, or of one row some heads."""
    b, h, length, keys = weights.shape
    heads = max(1, AT_ONCE // (length * keys))
    rows = max(1, heads // h)
    return [(slice(i, i + rows), slice(j, j + heads)) for i in range(0, b, rows) for j in range(0, h, heads)]


def is_faster(q: Tensor) -> bool:
    """Whether `attend` is used: it is faster than torch's attention on processors, where gradients are asked for."""
    return (q.device.type == "cpu" and torch.is_grad_enabled() and not torch.compiler.is_compiling()
            and draws_masks())


def self_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rate: float) -> Tensor:
    """Scaled attention without a bias, on any device; as `torch.nn.functional.scaled_dot_product_attention`."""
    if is_faster(q):
        return attend(q, k, v, None, mask, q.shape[-1] ** -0.5, rate)
    return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=rate)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, mask: Tensor | None = None,
           scale: float = 1.0, rate: float = 0.0) -> Tensor:
    """softmax(scale * q k^T + bias) v, with gradients, dropout on the softmax and no attention where ``mask`` is False.

    q [B, H, L, d], k and v [B, H, S, d] in float32 or bfloat16, on the processor; bias float32 [1, H, L, S], mask bool
    [B or 1, H or 1, L or 1, S].  A query that may attend to nothing attends to everything alike.  Returns [B, H, L, d].
    """
    if mask is not None:
        mask = mask.expand(len(q), *mask.shape[1:])
    return _Attention.apply(q, k, v, bias, mask, scale, rate)
