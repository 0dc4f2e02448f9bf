"""Frames as a pyramid of four or so time scales, and the encoder that reads it, and recalled vectors as well.

Shapes as in `attention`.  A batch is padded; nothing that is real depends on the padding.
"""

import torch
from torch import Tensor, nn

from hicm.nn.feed_forward import FeedForward
from hicm.nn.sinusoid import sinusoid
from hicm.systems.parallel.attention import DeformableAttention, Levels

GROUPS = 32  # of the group norms


def positions(size: int, lengths: Tensor, width: int) -> Tensor:
    """Position codes float32 [B, size, width] of the rows of sequences of ``lengths`` int64 [B]."""
    steps = torch.arange(size, device=lengths.device) + 0.5
    return sinusoid(steps / (lengths[:, None] + 1e-6), width)


class MaskedGroupNorm(nn.GroupNorm):
    """A group norm whose statistics are those of each video's real rows."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # with a mask
        """x [B, C, T], mask bool [B, T] -> [B, C, T], zero where not real."""
        batch, channels, steps = x.shape
        groups, real = x.view(batch, self.num_groups, -1, steps), mask[:, None, None, :]
        count = real.sum((2, 3), keepdim=True) * (channels // self.num_groups)
        centred = (groups - (groups * real).sum((2, 3), keepdim=True) / count) * real
        normed = centred * (centred.square().sum((2, 3), keepdim=True) / count + self.eps).rsqrt()
        return (normed.view_as(x) * self.weight[:, None] + self.bias[:, None]) * mask[:, None]


class Pyramid(nn.Module):
    """Frame features at several time scales, each half as long as the one before, with position codes."""

    def __init__(self, feature_width: int, width: int, levels: int) -> None:
        super().__init__()
        self.width = width
        self.convs = nn.ModuleList(
            nn.Conv1d(feature_width if level < 2 else width, width, 3 if level else 1, stride=2 if level else 1,
                      padding=1 if level else 0) for level in range(levels))
        self.norms = nn.ModuleList(MaskedGroupNorm(GROUPS, width) for _ in range(levels))
        self.duration = nn.Linear(width // 2, width // 2)

    def initialise(self) -> None:
        """Xavier weights and no bias."""
        for conv in self.convs:
            nn.init.xavier_uniform_(conv.weight)  # type: ignore[arg-type]
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Levels]:
        """rows [B, T, D], zero beyond the ``lengths`` int64 [B] -> [B, S, d] and its levels."""
        found: list[Tensor] = []
        counts: list[Tensor] = []
        for level, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(rows.transpose(1, 2) if level < 2 else found[-1])
            counts.append((counts[-1] + 1) // 2 if level else lengths)
            found.append(norm(x, torch.arange(x.shape[2], device=x.device) < counts[-1][:, None]))
        levels = Levels(tuple(x.shape[2] for x in found), torch.stack(counts, 1))
        return torch.cat(found, 2).transpose(1, 2), levels

    def positions(self, levels: Levels, seconds: Tensor) -> Tensor:
        """Position codes [B, S, d]: one half encodes the location, the other the duration, up to d / 2 seconds."""
        half = self.width // 2
        elapsed = torch.arange(half, device=seconds.device) < seconds[:, None].floor()
        duration = self.duration(elapsed.float())
        return torch.cat([torch.cat([positions(size, levels.lengths[:, level], half),
                                     duration[:, None].expand(-1, size, -1)], 2)
                          for level, size in enumerate(levels.sizes)], 1)


class EncoderLayer(nn.Module):
    """Deformable self-attention, then a feed-forward network; normalised after each."""

    def __init__(self, width: int, hidden: int, heads: int, levels: int, points: int, dropout: float) -> None:
        super().__init__()
        self.attention = DeformableAttention(width, heads, levels, points)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = FeedForward(width, hidden, dropout)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, levels: Levels, border: bool = False,
                wanted: int | None = None) -> Tensor:
        """x and position [B, S, d] -> [B, S, d], or its first ``wanted`` rows."""
        kept = x[:, :wanted]
        attended = self.attention(kept + position[:, :wanted], levels.locations[:, :wanted, None], x, levels, border)
        kept = self.norm1(kept + self.drop(attended))
        return self.norm2(kept + self.feed(kept))


class Encoder(nn.Module):
    """The layers that both the video and what it recalls go through (the versatile encoder of CM2)."""

    def __init__(self, layers: int, width: int, hidden: int, heads: int, levels: int, points: int,
                 dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, hidden, heads, levels, points, dropout) for _ in range(layers))
        self.levels = nn.Parameter(torch.randn(levels, width))

    def forward(self, x: Tensor, position: Tensor, levels: Levels, border: bool = False,
                wanted: int | None = None) -> Tensor:
        """x [B, S, d], position codes [B, S, d] without the level -> [B, S, d], or its first ``wanted`` rows."""
        sizes = torch.tensor(levels.sizes, device=x.device)
        position = position + self.levels.repeat_interleave(sizes, 0, output_size=x.shape[1])
        for place, layer in enumerate(self.layers, start=1):
            x = layer(x, position, levels, border, wanted if place == len(self.layers) else None)
        return x

    def recalled(self, x: Tensor, lengths: Tensor, border: bool = False) -> Tensor:
        """x [B, W, d] of ``lengths`` int64 [B] -> [B, W, d].

        A copy stands in every level, as the layers need that many; the last layer makes only the first.
        """
        count, size, width = len(self.levels), x.shape[1], x.shape[2]
        levels = Levels((size,) * count, lengths[:, None].expand(-1, count))
        position = positions(size, lengths, width)
        return self(x.repeat(1, count, 1), position.repeat(1, count, 1), levels, border, size)
