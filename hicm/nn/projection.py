"""One layer of the projections that bring recalled vectors to the width of a model."""

from torch import Tensor, nn

from hicm.nn.dropout import Dropout


class ProjectionLayer(nn.Module):
    """LayerNorm, dropout, linear: [..., width] -> [..., out]."""

    def __init__(self, width: int, out: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.drop = Dropout(dropout)
        self.linear = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.drop(self.norm(x)))
