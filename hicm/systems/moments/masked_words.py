"""Frame-word alignment (FW-MESM), only used in training: masked words are predicted from the frames they describe."""

import torch
from torch import Tensor, nn

from hicm.nn.projection import ProjectionLayer
from hicm.systems.moments.batch import valid

HEAD_DROPOUT = 0.5


class WordHead(nn.Sequential):
    """Logits of the classes of words, [..., d] -> [..., C]."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(ProjectionLayer(width, width, HEAD_DROPOUT), nn.ReLU(), nn.Linear(width, classes))


def pack(x: Tensor, position: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The ``chosen`` bool [B, T] rows of x and position [B, T, d], moved to the front, and their mask [B, S]."""
    sizes = chosen.sum(1)
    order = (~chosen).to(torch.int8).argsort(stable=True, dim=1)[:, :max(1, int(sizes.max()))]
    index = order[..., None].expand(-1, -1, x.shape[2])
    return x.gather(1, index), position.gather(1, index), valid(sizes, order.shape[1])
