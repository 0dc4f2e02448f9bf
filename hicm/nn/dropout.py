"""Dropout that costs little on processors.

torch draws a mask on the processor one Bernoulli number after the other, which in half of the layers of a transformer
takes longer than the matrix products.  Here 16 random bits decide about an element, so the rate is rounded to the
nearest multiple of 2**-16 (0.1 becomes 0.10001); what is kept is scaled by the rounded rate, so that means are exact.

Checkpoints record who draws the masks (`MASKS`), so that a run that torch's masks began continues with these.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16
MASKS = "sfc64"  # the generator of the masks that are drawn here
_masks = [MASKS]


@contextmanager
def masks_of(generator: str) -> Iterator[None]:
    """Have masks drawn by `MASKS`, or, for any other ``generator``, by torch."""
    _masks.append(generator)
    try:
        yield
    finally:
        _masks.pop()


def draws_masks() -> bool:
    """Whether masks on processors are drawn here, not by torch."""
    return _masks[-1] == MASKS


def rounded(rate: float) -> float:
    """The multiple of 2**-16 nearest to ``rate``, below 1."""
    return min(round(rate * LEVELS), LEVELS - 1) / LEVELS


def draw_mask(shape: torch.Size, rate: float) -> Tensor:
    """Bool tensor on the processor, False with probability `rounded` (rate); seeded by torch's default generator."""
    size = shape.numel()
    bits = np.random.SFC64(int(torch.randint(2**62, ()))).random_raw(-(-size // 4))
    drawn = torch.from_numpy(bits.view(np.int16))[:size]
    return drawn.ge(round(rounded(rate) * LEVELS) - LEVELS // 2).view(shape)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        keep = draw_mask(x.shape, rate)
        ctx.save_for_backward(keep)
        ctx.scale = 1 / (1 - rounded(rate))
        return masked(x, keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return masked(gradient, ctx.saved_tensors[0]).mul_(ctx.scale), None


def masked(x: Tensor, keep: Tensor) -> Tensor:
    """``x`` where ``keep``, elsewhere 0 (for an infinity in bfloat16: nan), in a new tensor of the same type."""
    if x.dtype == torch.bfloat16:
        return x * keep.view(torch.int8)  # twice as fast as where
    return torch.where(keep, x, 0.0)


class Dropout(nn.Dropout):
    """As `torch.nn.Dropout`, up to the rounded rate; other devices than the processor use that of torch."""

    def forward(self, x: Tensor) -> Tensor:
        """A tensor of the shape and dtype of ``x``."""
        if not self.training or not self.p or x.device.type != "cpu" or self.p >= 1 or not draws_masks():
            return F.dropout(x, self.p, self.training)
        return _Dropout.apply(x, self.p)


def replace_dropout(module: nn.Module, rate: float) -> None:
    """Give every `torch.nn.Dropout` within ``module`` this rate, and this implementation."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Dropout):
                setattr(parent, name, Dropout(rate).train(child.training))
