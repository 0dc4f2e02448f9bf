"""Sines and cosines of places in a video."""

import math

import torch
from torch import Tensor


def sinusoid(locations: Tensor, width: int) -> Tensor:
    """Sines and cosines of locations (shares of the video) [...]: float32 [..., width]."""
    k = torch.arange(width, device=locations.device)
    angles = 2 * math.pi * locations[..., None] / 10000 ** (2 * torch.div(k, 2, rounding_mode="floor") / width)
    return torch.where(k % 2 == 0, angles.sin(), angles.cos())
