"""Cross attention as moment retrieval uses it: frames that attend to words, words that attend to frames.

Shapes: B queries, N elements that attend, S that are attended to, H heads, d width.  A mask is True where real.
"""

import torch
from torch import Tensor, nn

from hicm.nn.feed_forward import FeedForward


def crossed_padding(mask: Tensor, key_mask: Tensor, heads: int) -> Tensor:
    """What the published code hides beside padding, from masks [B, N] and [B, S]: bool [B, H, N, S], True = hidden.

    It means to hide padding from padding, but head h of row b gets the mask of row (H b + h) mod B, because masks are
    repeated in another order than attention expects.  QD-DETR (Moon et al., CVPR 2023) has the same.
    """
    count = len(mask)
    both = ~mask[:, :, None] & ~key_mask[:, None]
    taken = torch.arange(count * heads, device=mask.device) % count
    return both[taken].unflatten(0, (count, heads))


class Closing(nn.Module):
    """The second half of a layer.  The first norm feeds the network only, the second one closes the residual."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = FeedForward(width, hidden, dropout)

    def forward(self, x: Tensor, activation: nn.Module) -> Tensor:
        return self.norm2(x + self.feed(self.norm1(x), activation))


class CrossLayer(nn.Module):
    """Attention to keys, then a feed-forward network, of which there is one for each of the ``directions``."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float, directions: int = 1) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.activation = nn.PReLU()
        self.closings = nn.ModuleList(Closing(width, hidden, dropout) for _ in range(directions))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor, position: Tensor | float = 0.0,
                hidden: Tensor | None = None, direction: int = 0) -> Tensor:
        """x and its position [B, N, d], keys and values [B, S, d], key_mask [B, S] -> [B, N, d].

        ``hidden`` bool [B, H, N, S]: what is hidden beside padding.
        """
        read, _ = self.attention(x + position, keys, values, key_padding_mask=~key_mask, need_weights=False,
                                 attn_mask=None if hidden is None else hidden.flatten(0, 1))
        return self.closings[min(direction, len(self.closings) - 1)](x + self.drop(read), self.activation)


class CrossStack(nn.Module):
    """Several such layers, all of which read the same keys.

    ``mixed``: padding is mixed up as in the published code (`crossed_padding`).
    """

    def __init__(self, layers: int, width: int, hidden: int, heads: int, dropout: float, directions: int = 1,
                 mixed: bool = False) -> None:
        super().__init__()
        self.heads, self.mixed = heads, mixed
        self.layers = nn.ModuleList(CrossLayer(width, hidden, heads, dropout, directions) for _ in range(layers))

    def forward(self, x: Tensor, keys: Tensor, mask: Tensor, key_mask: Tensor, position: Tensor | float = 0.0,
                key_position: Tensor | float = 0.0, direction: int = 0, hidden: Tensor | None = None) -> Tensor:
        """x and position [B, N, d], keys and key_position [B, S, d], mask [B, N], key_mask [B, S] -> [B, N, d].

        A row without keys attends to padding.  ``hidden``: see `CrossLayer`; None: as ``mixed`` says.
        """
        if self.mixed and hidden is None:
            hidden = crossed_padding(mask, key_mask, self.heads)
        key_mask, placed = key_mask | ~key_mask.any(1, keepdim=True), keys + key_position
        for layer in self.layers:
            x = layer(x, placed, keys, key_mask, position, hidden, direction)
        return x
