"""What a recalled vector stands for, added to its token: when its window is, its level, its rank and its cosine.

Cross-attention has no order of its own, so without these marks it can tell recalled vectors apart by content alone.

Shape legend: B videos, S slots, d T5 width.
"""

import numpy as np
import torch
from torch import Tensor, nn

from hicm.data.samples import MemoryTokens

MARKS = 5
TIMES, LEVELS, RANKS = 32, 16, 32  # sizes of the tables; higher levels and ranks share the last entry


def marks(tokens: MemoryTokens, seconds: np.ndarray, duration: float) -> np.ndarray:
    """Middle of the window as a share of the duration, level, rank, cosine, scaled cosine: float32 [S, 5].

    ``seconds`` [S, 2]: start and end of each slot's window, NaN where it has none.  The rank is the place among what
    the window recalled, nearest first.  Scaled cosines have mean 0 and deviation 1 over the video.  -1 stands for
    several or no window, level or rank; both cosines are 0 where a slot does not stand for one node.
    """
    found = np.full((len(tokens.mask), MARKS), -1, np.float32)
    found[:, 0] = np.nan_to_num(seconds.mean(axis=1) / duration, nan=-1)
    found[:, 1] = tokens.slots[:, 1]
    found[:, 3:] = 0
    if tokens.cosines is not None and tokens.mask.any():
        real = tokens.mask
        found[:, 2] = ranks(tokens.slots[:, 0], tokens.cosines, real)
        found[real, 3] = tokens.cosines[real]
        found[real, 4] = (tokens.cosines[real] - tokens.cosines[real].mean()) / (tokens.cosines[real].std() or 1.0)
    return found


def ranks(windows: np.ndarray, scores: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The place of each real slot among those of its window, highest score first, from 0: int64 [S]; -1: not real."""
    order = np.lexsort((-scores, windows))  # slots with equal scores keep their order
    order = order[real[order]]
    ordered = windows[order]
    found = np.full(len(windows), -1)
    found[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return found


class MemoryPositions(nn.Module):
    """Marks [B, S, 5] -> what is added to memory tokens, [B, S, d].

    A learned vector per level and rank, two that are multiplied by the cosines, and learned vectors for evenly spaced
    times of a video, of which the two next to the middle of the window are mixed: one per window would not fit windows
    of another number or length.  All begin at 0, so that a trained captioner can gain them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.times, self.levels, self.ranks, self.cosines = (
            nn.Parameter(torch.zeros(rows, width)) for rows in (TIMES, LEVELS + 1, RANKS + 1, 2))

    def forward(self, marks: Tensor) -> Tensor:
        places = torch.arange(TIMES, device=marks.device)
        near = (1 - (marks[..., :1] * (TIMES - 1) - places).abs()).clamp(min=0)  # 0 for all where there is no time
        level, rank = ((marks[..., at] + 1).long() for at in (1, 2))  # 0: none
        dtype = self.times.dtype
        return (near.to(dtype) @ self.times + self.levels[level.clamp(max=LEVELS)] + self.ranks[rank.clamp(max=RANKS)]
                + marks[..., 3:].to(dtype) @ self.cosines)
