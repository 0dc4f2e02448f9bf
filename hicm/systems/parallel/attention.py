"""Deformable attention over sequences of several scales (Deformable DETR, in one dimension), in plain torch.

Shapes: B videos, L levels, n_l rows of level l (of the longest video), S = n_0 + n_1 + ..., N queries, H heads,
P points, d width.  A location is a share of the video: row i of a level with n rows lies at (i + 0.5) / n.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hicm.nn.bfloat16 import in_float32


@dataclass(frozen=True)
class Levels:
    """Which of the S rows of a padded batch belong to which level, and how many of them are real."""

    sizes: tuple[int, ...]  # n_l
    lengths: Tensor  # int64 [B, L], at most the sizes

    @property
    def starts(self) -> Tensor:
        """int64 [L]: the first row of each level."""
        sizes = torch.tensor([0, *self.sizes[:-1]], device=self.lengths.device)
        return sizes.cumsum(0)

    @property
    def mask(self) -> Tensor:
        """bool [B, S], True: a real row."""
        return torch.cat([torch.arange(size, device=self.lengths.device) < self.lengths[:, level, None]
                          for level, size in enumerate(self.sizes)], 1)

    @property
    def locations(self) -> Tensor:
        """float32 [B, S]: where each row lies."""
        return torch.cat([(torch.arange(size, device=self.lengths.device) + 0.5)
                          / self.lengths[:, level, None].clamp(min=1)
                          for level, size in enumerate(self.sizes)], 1)


def sampling_locations(reference: Tensor, offsets: Tensor, lengths: Tensor) -> Tensor:
    """Locations [..., L, P] for offsets [..., L, P].

    ``reference`` [..., 1]: a centre, offsets count rows of each level (``lengths`` [..., L]).  [..., 2]: centre and
    length of a segment, of which an offset of P is one half.
    """
    centre = reference[..., :1, None]
    if reference.shape[-1] == 1:
        return centre + offsets / lengths.clamp(min=1)[..., None]
    return centre + offsets / offsets.shape[-1] * reference[..., 1:, None] * 0.5


def taps(locations: Tensor, lengths: Tensor, starts: Tensor, border: bool) -> tuple[Tensor, Tensor]:
    """The two rows beside each location and their weights for linear interpolation: int64, float [..., L, P, 2].

    ``locations`` [..., L, P]; ``lengths`` int64 [..., L]; ``starts`` int64 [..., L].  Locations outside a level
    read zero, or with ``border`` its first or last row.
    """
    lengths = lengths[..., None]
    last = (lengths - 1).clamp(min=0)
    x = locations * lengths - 0.5
    if border:
        x = x.clamp(min=0).minimum(last.to(x.dtype))
    else:
        x = x.clamp(min=-1).minimum(lengths.to(x.dtype))
    first = x.detach().floor()
    share, row = x - first, first.long()
    rows, weights = torch.stack([row, row + 1], -1), torch.stack([1 - share, share], -1)
    if not border:  # there, the only row that may lie outside has weight zero
        weights = weights * ((rows >= 0) & (rows < lengths[..., None]))
    return rows.clamp(min=0).minimum(last[..., None]) + starts[..., None, None], weights


def weighted_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Sums over K of weights [M, K] times the rows int64 [M, K] of a table [R, D]: float32 [M, D]."""
    return F.embedding_bag(rows, table.float(), per_sample_weights=weights.float(), mode="sum")


class DeformableAttention(nn.Module):
    """Each query attends to P locations per level and head around its reference."""

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points)
        self.weights = nn.Linear(width, heads * levels * points)
        self.values = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def initialise(self) -> None:
        """Heads look ahead, back or at the reference, a row farther with every point; all points have equal weight."""
        angles = torch.arange(self.heads) * 2 * math.pi / self.heads
        directions = angles.cos() / torch.maximum(angles.cos().abs(), angles.sin().abs())
        steps = directions[:, None, None] * torch.arange(1, self.points + 1).expand(1, self.levels, -1)
        with torch.no_grad():
            for layer in (self.offsets, self.weights):
                layer.weight.zero_()
                layer.bias.zero_()
            self.offsets.bias.copy_(steps.reshape(-1))
            for layer in (self.values, self.output):
                nn.init.xavier_uniform_(layer.weight)
                layer.bias.zero_()

    def forward(self, query: Tensor, reference: Tensor, source: Tensor, levels: Levels, border: bool = False) -> Tensor:
        """query [B, N, d], reference [B, N, 1 or 2], source [B, S, d] -> [B, N, d].

        ``border``: locations outside a level read its first or last row instead of zero.
        """
        batch, count, width = query.shape
        shape = (batch, count, self.heads, self.levels, self.points)
        values = self.values(source).masked_fill(~levels.mask[..., None], 0.0)
        weights = self.weights(query).view(batch, count, self.heads, -1).softmax(-1).view(shape)
        lengths = levels.lengths[:, None, None]
        locations = sampling_locations(reference[:, :, None], in_float32(self.offsets, query).view(shape), lengths)
        rows, shares = taps(locations, lengths, levels.starts, border)
        video = torch.arange(batch, device=query.device).view(-1, 1, 1, 1, 1, 1)
        head = torch.arange(self.heads, device=query.device).view(-1, 1, 1, 1)
        rows = (video * source.shape[1] + rows) * self.heads + head
        found = weighted_rows(values.reshape(-1, width // self.heads), rows.flatten(3).flatten(0, 2),
                              (shares * weights[..., None]).flatten(3).flatten(0, 2))
        return self.output(found.view(batch, count, width))
