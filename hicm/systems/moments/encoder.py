"""The encoder: frames attend to each other, and a global token reads them all (QD-DETR, Moon et al., CVPR 2023)."""

import torch
from torch import Tensor, nn

from hicm.nn.feed_forward import FeedForward


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network; normalised after each."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = FeedForward(width, hidden, dropout)
        self.activation = nn.PReLU()
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """x and position [B, S, d], mask bool [B, S], True: attended to -> [B, S, d]."""
        placed = x + position
        read, _ = self.attention(placed, placed, x, key_padding_mask=~mask, need_weights=False)
        x = self.norm1(x + self.drop(read))
        return self.norm2(x + self.feed(x, self.activation))


class GlobalEncoder(nn.Module):
    """Frames, and before them a token that reads them but is read by none."""

    def __init__(self, layers: int, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.token, self.position = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        self.layers = nn.ModuleList(EncoderLayer(width, hidden, heads, dropout) for _ in range(layers))

    def forward(self, frames: Tensor, position: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """frames and position [B, T, d], mask bool [B, T] -> the frames' memory [B, T, d] and the token's [B, d]."""
        first = self.token.expand(len(frames), 1, -1)
        x = torch.cat([first, frames], 1)
        position = torch.cat([self.position.expand_as(first), position], 1)
        mask = torch.cat([torch.zeros_like(mask[:, :1]), mask], 1)
        for layer in self.layers:
            x = layer(x, position, mask)
        return x[:, 1:], x[:, 0]
