"""bfloat16: which devices multiply it, and what is computed in float32 nevertheless."""

import torch
from torch import Tensor, nn


def card_has_bf16(device: torch.device | str) -> bool:
    """Whether ``device`` is a CUDA GPU that multiplies bfloat16, rather than emulating it."""
    return torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """``layer`` of ``x`` in float32, in mixed precision as well: bfloat16 is too coarse for locations."""
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())
