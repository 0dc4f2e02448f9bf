"""Event queries: they attend to each other, the video and the recalled vectors, and refine their segments.

Shapes: B videos, Q queries, S rows of the video, W recalled rows, d width.  Segments are (centre, length) as shares of
the video.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hicm.nn.bfloat16 import in_float32
from hicm.nn.feed_forward import FeedForward
from hicm.nn.segments import logit
from hicm.systems.parallel.attention import DeformableAttention, Levels
from hicm.systems.parallel.heads import BoxHead


class RecalledAttention(nn.Module):
    """Dense attention of the queries to what the video recalls."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries, self.keys, self.values = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(self, query: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        """query [B, Q, d], source [B, W, d], mask bool [B, W] -> [B, Q, d]; zeros where all is masked."""
        q, k, v = (layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer, x in
                   ((self.queries, query), (self.keys, source), (self.values, source)))
        some = mask.any(1)[:, None]
        read = F.scaled_dot_product_attention(q, k, v, (mask | ~some)[:, None, None])
        return self.output(read.transpose(1, 2).flatten(2) * some[..., None])


class DecoderLayer(nn.Module):
    """Queries attend to each other, if they are to, to the video, and to what it recalls."""

    def __init__(self, width: int, hidden: int, heads: int, levels: int, points: int, dropout: float,
                 memory: bool, self_attention: bool) -> None:
        super().__init__()
        self.queries = nn.MultiheadAttention(width, heads, dropout, batch_first=True) if self_attention else None
        self.video = DeformableAttention(width, heads, levels, points)
        self.recalled = RecalledAttention(width, heads) if memory else None
        self.norm1 = nn.LayerNorm(width)
        # between the others, as the saved state of an optimiser follows the order of the weights
        self.norm2 = nn.LayerNorm(width) if self_attention else None
        self.norm3 = nn.LayerNorm(width)
        self.feed = FeedForward(width, hidden, dropout)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, reference: Tensor, video: Tensor, levels: Levels,
                recalled: tuple[Tensor, Tensor] | None, border: bool = False, kept: Tensor | None = None) -> Tensor:
        """x and position [B, Q, d], reference [B, Q, 1 or 2], video [B, S, d], recalled [B, W, d] and its mask.

        ``kept`` bool [B, Q]: only these queries are attended to.
        """
        if self.queries is not None and self.norm2 is not None:
            placed, left_out = x + position, None if kept is None else ~kept
            x = self.norm2(x + self.drop(self.queries(placed, placed, x, left_out, need_weights=False)[0]))
        x = self.norm1(x + self.drop(self.video(x + position, reference, video, levels, border)))
        if self.recalled is not None and recalled is not None:
            x = self.norm1(x + self.drop(self.recalled(x, *recalled)))  # the same norm, as in the released models
        return self.norm3(x + self.feed(x))


@dataclass(frozen=True)
class LayerOutput:
    """The output of one decoder layer."""

    hidden: Tensor  # [B, Q, d]
    boxes: Tensor  # [B, Q, 2]
    reference: Tensor  # [B, Q, 1 or 2]: around which the layer sampled


class Decoder(nn.Module):
    """Layers that each refine the segments of the one before."""

    def __init__(self, layers: int, queries: int, width: int, hidden: int, heads: int, levels: int, points: int,
                 dropout: float, memory: bool, self_attention: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, hidden, heads, levels, points, dropout, memory, self_attention)
                                    for _ in range(layers))
        self.boxes = nn.ModuleList(BoxHead(width) for _ in range(layers))
        self.embeddings = nn.Embedding(queries, 2 * width)  # position, then content
        self.centre = nn.Linear(width, 1)

    def forward(self, video: Tensor, levels: Levels, recalled: tuple[Tensor, Tensor] | None,
                border: bool = False, kept: Tensor | None = None) -> Iterator[LayerOutput]:
        """The output of each layer for a video [B, S, d] and what it recalls [B, W, d] with its mask bool [B, W].

        Gradients do not flow from a layer to the segments of the one before.  ``kept`` bool [B, Q]: the queries in use;
        the output for the others is meaningless.
        """
        position, x = self.embeddings.weight.expand(len(video), -1, -1).chunk(2, 2)
        reference = in_float32(self.centre, position).sigmoid()
        for layer, head in zip(self.layers, self.boxes, strict=True):
            x = layer(x, position, reference, video, levels, recalled, border, kept)
            moved, before = in_float32(head, x), logit(reference)
            if before.shape[-1] == 1:
                before = torch.cat([before, torch.zeros_like(before)], -1)
            boxes = (moved + before).sigmoid()
            yield LayerOutput(x, boxes, reference)
            reference = boxes.detach()
