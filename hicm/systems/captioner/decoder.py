"""T5's decoder for generation: one token of every row at a time, with the numbers of `T5ForConditionalGeneration`.

Keys and values of the encoder states are computed once and kept once per video, whatever its number of beams, which
attend to them together.  Those of earlier tokens are kept per row, in memory that doubles when it is full.

A step has few rows and reads all weights, which is not what matrix products of processors are made for: `_linear` asks
for them in the order that costs least.

Shape legend: V videos, b beams, N = V * b rows (the beams of a video are neighbours), H heads, k width of a head,
G videos of one part, S encoder states, d T5 width, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.t5.modeling_t5 import T5Attention, T5DenseActDense, T5DenseGatedActDense

from hicm.systems.captioner.context import Context
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.parts import Part
from hicm.systems.captioner.pointing import last_two

FIRST = 32  # tokens that there is room for at the beginning


@dataclass
class _Source:
    """Keys and values of one part by layer, each [G, H, S, k]; ``mask`` is added to scores, [G, 1, 1, S] or None."""

    videos: int
    layers: list[tuple[Tensor, Tensor]]
    mask: Tensor | None
    states: Tensor  # [G, S, d]
    context: Context | None
    times: Tensor | None  # what `Pointing.keys` finds, [G, bins, k]

    def take(self, chosen: Tensor) -> "_Source":
        return _Source(int(chosen.sum()), [(keys[chosen], values[chosen]) for keys, values in self.layers],
                       None if self.mask is None else self.mask[chosen], self.states[chosen],
                       None if self.context is None else self.context.take(chosen),
                       None if self.times is None else self.times[chosen])


class Decoder:
    """The state of a generation: all tokens so far, of videos in the order of ``parts``.

    ``longest``: the most tokens that are generated.
    """

    def __init__(self, model: Captioner, parts: Sequence[Part], beams: int, longest: int) -> None:
        self.model, self.t5, self.beams, self.longest = model, model.t5, beams, longest
        self.blocks = [block.layer for block in self.t5.decoder.block]
        attention = self.blocks[0][0].SelfAttention
        self.heads, self.width = attention.n_heads, attention.key_value_proj_dim
        self.bias = attention.compute_bias(longest, longest)  # [1, H, longest, longest]
        self.sources = [self._source(part) for part in parts]
        self.length = 0
        states, rows = parts[0].states, beams * sum(source.videos for source in self.sources)
        self.said = torch.zeros(rows, 0, dtype=torch.int64, device=states.device)
        self.past = states.new_zeros(len(self.blocks), 2, rows, self.heads, min(FIRST, longest), self.width)

    def step(self, ids: Tensor) -> Tensor:
        """Logits, or log-probabilities, of the next tokens, float32 [N, C], after the tokens ``ids`` [N]."""
        if self.length == self.past.shape[4]:
            self.past = torch.cat([self.past, torch.zeros_like(self.past)], 4)
        self.said = torch.cat([self.said, ids[:, None]], 1)
        events = self._events()
        masks = [self._mask(source, own) for source, own in zip(self.sources, events, strict=True)]
        x = self.t5.shared(ids)
        for layer, (own, cross, feed_forward) in enumerate(self.blocks):
            x = x + self._attend_to_past(layer, own.SelfAttention, own.layer_norm(x))
            x = x + self._attend_to_sources(layer, cross.EncDecAttention, cross.layer_norm(x), masks)
            x = x + _feed_forward(feed_forward.DenseReluDense, feed_forward.layer_norm(x))
        self.length += 1
        x = self.t5.decoder.final_layer_norm(x)
        if self.t5.config.scale_decoder_outputs:
            x = x * self.t5.config.d_model ** -0.5
        return self._pointed(_linear(self.t5.lm_head, x).float(), x, events)

    def follow(self, rows: Tensor) -> None:
        """Row n continues what row ``rows[n]`` said, int64 [N]; only rows that change are copied."""
        changed = (rows != torch.arange(len(rows), device=rows.device)).nonzero().flatten()
        if len(changed):
            said = self.past[:, :, :, :, :self.length]
            said[:, :, changed] = said[:, :, rows[changed]]
            self.said = self.said[rows]

    def keep(self, videos: Tensor) -> None:
        """Go on with some of the videos only, bool [V]."""
        rows = videos.repeat_interleave(self.beams)
        self.past, self.said = self.past[:, :, rows], self.said[rows]
        shares = zip(self.sources, videos.split([source.videos for source in self.sources]), strict=True)
        self.sources = [source if chosen.all() else source.take(chosen) for source, chosen in shares if chosen.any()]

    def _source(self, part: Part) -> _Source:
        g, s, _ = part.states.shape

        def split(x: Tensor) -> Tensor:
            return x.view(g, s, self.heads, self.width).transpose(1, 2).contiguous()

        layers = [(split(attention.k(part.states)), split(attention.v(part.states)))
                  for attention in (block[1].EncDecAttention for block in self.blocks)]
        mask = None
        if not part.mask.all():
            mask = torch.zeros(g, 1, 1, s, dtype=part.states.dtype, device=part.states.device)
            mask.masked_fill_(~part.mask[:, None, None], torch.finfo(mask.dtype).min)
        pointing, context = self.model.pointing, part.context
        return _Source(g, layers, mask, part.states, context,
                       None if pointing is None or context is None else pointing.keys(part.states, context))

    def _events(self) -> list[Tensor]:
        """The span of the open event of every beam, by source: each [G, b, 2]."""
        if all(source.context is None for source in self.sources):
            return [self.said.new_zeros(source.videos, self.beams, 2) for source in self.sources]
        spans = self.model.events(self.said)[:, -1]
        return list(spans.view(-1, self.beams, 2).split([source.videos for source in self.sources]))

    def _mask(self, source: _Source, events: Tensor) -> Tensor | None:
        """What is added to scores of cross-attention: [G, 1, 1, S], or [G, H, b, S] where heads see only an event."""
        seen = None if source.context is None else self.model.seen(events, source.context)
        if seen is None:
            return source.mask
        mask = torch.zeros(seen.shape, dtype=source.states.dtype, device=seen.device)
        return mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)

    def _pointed(self, logits: Tensor, hidden: Tensor, events: Sequence[Tensor]) -> Tensor:
        """Log-probabilities [N, C] where the model points, from logits [N, C] and what the output head read [N, d]."""
        pointing = self.model.pointing
        if pointing is None:
            return logits
        shares = [source.videos for source in self.sources]
        said = last_two(self.said[:, -2:])[:, -1:]
        parts = [part.view(-1, self.beams, part.shape[-1]).split(shares) for part in (logits, hidden, said)]
        found = [pointing(*own, span, source.states, source.context, source.times)
                 for *own, span, source in zip(*parts, events, self.sources, strict=True) if source.context is not None]
        return torch.cat(found).flatten(0, 1)

    def _attend_to_past(self, layer: int, attention: T5Attention, x: Tensor) -> Tensor:
        n, t = len(x), self.length
        query, key, value = (_linear(linear, x).view(n, self.heads, self.width)
                             for linear in (attention.q, attention.k, attention.v))
        keys, values = self.past[layer]
        keys[:, :, t], values[:, :, t] = key, value
        found = scaled_dot_product_attention(query[:, :, None], keys[:, :, :t + 1], values[:, :, :t + 1],
                                             self.bias[:, :, t:t + 1, :t + 1], scale=1.0)
        return _linear(attention.o, found.reshape(n, -1))

    def _attend_to_sources(self, layer: int, attention: T5Attention, x: Tensor,
                           masks: Sequence[Tensor | None]) -> Tensor:
        query = _linear(attention.q, x).view(-1, self.beams, self.heads, self.width).transpose(1, 2)  # [V, H, b, k]
        shares = query.split([source.videos for source in self.sources])
        found = [_attend(share, *source.layers[layer], mask)
                 for share, source, mask in zip(shares, self.sources, masks, strict=True)]
        return _linear(attention.o, torch.cat(found).transpose(1, 2).reshape(len(x), -1))


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """``layer(x)``, a layer without bias, for the few rows x [N, i] of a step: [N, o].

    In float32 on processors the product is taken as W x^T: for up to 64 rows MKL does this 1.1 to 1.9 times as fast.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return layer(x)
    return (layer.weight @ x.t()).t().contiguous()


def _feed_forward(layer: T5DenseActDense | T5DenseGatedActDense, x: Tensor) -> Tensor:
    """[N, d] -> [N, d]."""
    if isinstance(layer, T5DenseGatedActDense):
        return _linear(layer.wo, layer.act(_linear(layer.wi_0, x)) * _linear(layer.wi_1, x))
    return _linear(layer.wo, layer.act(_linear(layer.wi, x)))


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Several beams [G, H, b, k] attend to keys and values [G, H, S, k]; ``mask``: [G, H or 1, b or 1, S]."""
    if query.shape[2] == 1 or query.device.type != "cpu" or query.dtype != torch.float32:
        return scaled_dot_product_attention(query, keys, values, mask, scale=1.0)
    scores = (keys @ query.transpose(2, 3)).transpose(2, 3)  # few queries: two products are faster than torch's kernel
    return (scores if mask is None else scores + mask).softmax(3) @ values
