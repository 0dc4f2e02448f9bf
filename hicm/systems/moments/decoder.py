"""The decoder: windows as anchors that every layer refines (DAB-DETR, Liu et al., ICLR 2022, in one dimension).

Shapes: B queries, Q windows, T frames, H heads, d width.  Windows are (centre, length) as shares of the video.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hicm.nn.bfloat16 import in_float32
from hicm.nn.feed_forward import FeedForward, Perceptron
from hicm.nn.segments import logit
from hicm.nn.sinusoid import sinusoid

NEAR = 1e-3  # how far references stay from 0 and 1 when their logit is taken


@dataclass(frozen=True)
class Decoded:
    """The output of one layer."""

    hidden: Tensor  # [B, Q, d]
    reference: Tensor  # [B, Q, 2]: which the windows of this layer refine


class DecoderLayer(nn.Module):
    """Windows attend to each other, then to the frames.

    In attention to frames each head compares contents and places side by side; only the ``first`` layer adds
    places to contents as well.
    """

    def __init__(self, width: int, hidden: int, heads: int, dropout: float, first: bool) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.own_content, self.own_place, self.other_content, self.other_place, self.own_value = (
            nn.Linear(width, width) for _ in range(5))
        self.own_output = nn.Linear(width, width)
        self.content, self.frame_content, self.frame_place, self.frame_value, self.sine = (
            nn.Linear(width, width) for _ in range(5))
        self.place = nn.Linear(width, width) if first else None
        self.output = nn.Linear(width, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.feed = FeedForward(width, hidden, dropout)
        self.activation = nn.PReLU()
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, place: Tensor, sine: Tensor, frames: Tensor, position: Tensor,
                mask: Tensor) -> Tensor:
        """x, place and sine [B, Q, d], frames and position [B, T, d], mask bool [B, T] -> [B, Q, d]."""
        own = self._attend(self._split(self.own_content(x) + self.own_place(place)),
                           self._split(self.other_content(x) + self.other_place(place)), self.own_value(x), None)
        x = self.norm1(x + self.drop(self.own_output(own)))
        content, key, where = self.content(x), self.frame_content(frames), self.frame_place(position)
        if self.place is not None:
            content, key = content + self.place(place), key + where
        query = torch.cat([self._split(content), self._split(self.sine(sine))], -1)
        keys = torch.cat([self._split(key), self._split(where)], -1)
        read = self._attend(query, keys, self.frame_value(frames), mask[:, None, None])
        x = self.norm2(x + self.drop(self.output(read)))
        return self.norm3(x + self.feed(x, self.activation))

    def _split(self, x: Tensor) -> Tensor:
        """[B, N, d] -> [B, H, N, d / H]."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        read = F.scaled_dot_product_attention(query, key, self._split(value), mask,
                                              dropout_p=self.dropout if self.training else 0.0)
        return read.transpose(1, 2).flatten(2)


class Decoder(nn.Module):
    """Layers that each refine the windows of the one before."""

    def __init__(self, layers: int, queries: int, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.anchors = nn.Parameter(torch.randn(queries, 2))  # logits
        self.layers = nn.ModuleList(DecoderLayer(width, hidden, heads, dropout, first=not layer)
                                    for layer in range(layers))
        self.place = Perceptron(width, width, width)
        self.scale = Perceptron(width, width, width)
        self.length = Perceptron(width, width, 1)
        self.boxes = Perceptron(width, width, width, 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, frames: Tensor, position: Tensor, mask: Tensor) -> list[Decoded]:
        """frames and position [B, T, d], mask bool [B, T] -> the output of each layer.

        Gradients do not flow from a layer to the windows that the one before refined, but from its head.
        """
        width = frames.shape[2]
        reference = self.anchors.sigmoid().expand(len(frames), -1, -1)
        x, found = frames.new_zeros(len(frames), len(self.anchors), width), []
        for number, layer in enumerate(self.layers):
            before = reference.detach() if number else reference
            sine = sinusoid(before, width // 2).flatten(2)
            place = self.place(sine)
            if number:
                sine = sine * self.scale(x)
            sine = sine * (in_float32(self.length, x).sigmoid() / before[..., 1:])  # attention as wide as the window
            x = layer(x, place, sine, frames, position, mask)
            found.append(Decoded(self.norm(x), reference))
            reference = (in_float32(self.boxes, x) + logit(before, NEAR)).sigmoid()
        return found
