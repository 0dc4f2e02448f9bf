"""Which devices multiply bfloat16 themselves."""

import torch


def card_has_bf16(device: torch.device | str) -> bool:
    """Whether ``device`` is a CUDA GPU that multiplies bfloat16, rather than emulating it."""
    return torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
