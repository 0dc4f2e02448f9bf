"""What is read off a query: whether it is an event, and where; and off all of them, how many events there are."""

import math

import torch
from torch import Tensor, nn

from hicm.nn.feed_forward import Perceptron

PRIOR = 0.01  # probability of an event before training


class BoxHead(Perceptron):
    """Corrections [B, Q, 2] of centre and length, to be added to their logits."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, width, 2)

    def initialise(self, length: float) -> None:
        """Segments whose logit length is ``length`` around the reference."""
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        with torch.no_grad():
            self.layers[-1].bias.copy_(torch.tensor([0.0, length]))  # type: ignore[operator,union-attr]


class Heads(nn.Module):
    """The heads of one decoder layer but for its segments."""

    def __init__(self, width: int, most: int) -> None:
        """``most``: the largest number of events that the counter predicts."""
        super().__init__()
        self.event = nn.Linear(width, 1)
        self.count = nn.Linear(width, most + 1)

    def initialise(self) -> None:
        """Few queries are events at first."""
        nn.init.constant_(self.event.bias, -math.log(1 / PRIOR - 1))

    def forward(self, hidden: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """hidden [B, Q, d] -> logits of being an event [B, Q], and of the number of events 0, 1, ... [B, most + 1].

        ``kept`` bool [B, Q]: only these queries are counted.
        """
        counted = hidden if kept is None else hidden.masked_fill(~kept[..., None], -torch.inf)
        return self.event(hidden).squeeze(-1), self.count(counted.amax(1))
