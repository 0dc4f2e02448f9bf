"""The feed-forward networks of transformers in the manner of DETR, and the small ones that read off predictions."""

import itertools
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


class FeedForward(nn.Module):
    """Linear, activation, dropout, linear, dropout."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, activation: Callable[[Tensor], Tensor] = F.relu) -> Tensor:
        return self.drop(self.linear2(self.drop(activation(self.linear1(x)))))


class Perceptron(nn.Module):
    """Linear layers from each of the ``widths`` to the next, with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, out) for width, out in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
