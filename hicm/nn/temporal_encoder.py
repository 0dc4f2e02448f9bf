"""Pre-LN transformer over frame features: the visual encoder of Vid2Seq (Yang et al., CVPR 2023).

Shapes: B videos, T frames, D feature width, H heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hicm.errors import UserError
from hicm.nn.attention import self_attention
from hicm.nn.dropout import Dropout


class Attention(nn.Module):
    """Multi-head self-attention with one fused query-key-value projection."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x [B, T, D]; mask bool [B, T], True = attend (None: all).  Returns [B, T, D]."""
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        keys = None if mask is None else mask[:, None, None, :]
        y = self_attention(q, k, v, keys, self.dropout if self.training else 0.0)
        return self.proj(y.transpose(1, 2).reshape(b, t, d))


class Mlp(nn.Module):
    """Linear, GELU, dropout, linear, dropout."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


class Block(nn.Module):
    """x += Attention(LN(x)); x += MLP(LN(x))."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attn = Attention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = Mlp(width, hidden, dropout)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.drop(self.attn(self.norm1(x), mask))
        return x + self.mlp(self.norm2(x))


class TemporalEncoder(nn.Module):
    """Learned positions, then pre-LN transformer blocks and a final LayerNorm; the output width is D too."""

    def __init__(self, width: int, frames: int, depth: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"captioner.visual_heads: {heads} heads do not divide the feature width {width}; set a "
                            "divisor of it")
        self.pos_embed = nn.Parameter(torch.empty(1, frames, width))
        self.blocks = nn.ModuleList(Block(width, heads, hidden, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.drop = Dropout(dropout)
        self.checkpointing = False  # compute blocks again in the backward pass
        self._initialise()

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """frames [B, T, D]; mask bool [B, T], True = a real frame (None: all are real).  Returns [B, T, D]."""
        t, learned = frames.shape[1], self.pos_embed.shape[1]
        nearest = torch.arange(t, device=frames.device) * learned // t  # each frame itself if T is the trained length
        x = self.drop(frames + self.pos_embed[:, nearest])
        for block in self.blocks:
            again = self.checkpointing and self.training
            x = checkpoint(block, x, mask, use_reentrant=False) if again else block(x, mask)
        return self.norm(x)
