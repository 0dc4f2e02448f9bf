"""Features less their mean, divided by their deviation: both measured once, on the training split."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(x - mean) / scale, with a mean per dimension and one scale; leaves x as it is until `measure` was called."""

    mean: Tensor  # [D]
    scale: Tensor  # []

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))

    @property
    def measured(self) -> bool:
        """Whether mean and scale are known, from `measure` or from a checkpoint."""
        return bool(self.mean.any()) or float(self.scale) != 1

    @torch.no_grad()
    def measure(self, videos: Iterable[np.ndarray]) -> None:
        """Take mean and deviation over all rows of features [T, D], in one pass and float64."""
        count, total, squares = 0, np.zeros(len(self.mean)), 0.0
        for rows in videos:
            x = rows.astype(np.float64)
            count, total, squares = count + len(x), total + x.sum(0), squares + float((x * x).sum())
        if not count:
            return
        mean = total / count
        deviation = np.sqrt(max(squares / count - float(mean @ mean), 0.0) / len(mean))
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.fill_(deviation or 1.0)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, T, D]; rows where mask bool [B, T] is False stay 0."""
        return ((x - self.mean) / self.scale).masked_fill(~mask[:, :, None], 0.0)
