"""Segment-sentence alignment (SS-MESM): one more text token, read from the video by a learned query.

It is meant to be a sentence that is recovered from the other sentences of the video.  But these layers have no
attention between sentences, so it depends on the video alone, and one token serves all queries of a group.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from hicm.systems.moments.batch import Batch, valid
from hicm.systems.moments.cross import CrossStack, crossed_padding


class SentenceToken(nn.Module):
    """The token of each query, of norm 1."""

    def __init__(self, layers: int, width: int, hidden: int, heads: int, dropout: float, mixed: bool,
                 several: bool) -> None:
        """``mixed``: see `CrossStack`; ``several``: groups are about several videos; see `group_frames`."""
        super().__init__()
        self.several = several
        self.token = nn.Parameter(torch.zeros(width))
        self.stack = CrossStack(layers, width, hidden, heads, dropout, mixed=mixed)

    def forward(self, frames: Tensor, batch: Batch) -> Tensor:
        """Projected frames [V, T, d] -> [B, d]."""
        keys, mask = group_frames(frames, batch, self.several)
        if not self.stack.mixed:
            return self._read(keys, mask)[batch.group]
        place, sizes = places(batch.group)
        keys, mask = keys[batch.group], mask[batch.group]
        hidden = crossed_padding(valid(sizes, int(sizes.max())), mask, self.stack.heads)
        rows = torch.arange(len(keys), device=keys.device)
        return self._read(keys, mask, hidden[rows, :, place][:, :, None])

    def _read(self, keys: Tensor, mask: Tensor, hidden: Tensor | None = None) -> Tensor:
        query = self.token.expand(len(keys), 1, -1)
        found = self.stack(query, keys, torch.ones_like(mask[:, :1]), mask, hidden=hidden)
        return F.normalize(found[:, 0], dim=-1)


def group_frames(frames: Tensor, batch: Batch, several: bool) -> tuple[Tensor, Tensor]:
    """The frames that each group reads, [G, S, d], and their mask [G, S].

    Those of its video, or with ``several`` those of every query's video one after the other, as in the published code.
    """
    groups: list[list[int]] = [[] for _ in range(int(batch.group.max()) + 1)]
    for group, video in zip(batch.group.tolist(), batch.video.tolist(), strict=True):
        groups[group].append(video)
    if not several:
        first = [videos[0] for videos in groups]
        return frames[first], valid(batch.lengths[first], frames.shape[1])
    lengths = batch.lengths.tolist()
    found = [torch.cat([frames[video, :lengths[video]] for video in videos]) for videos in groups]
    sizes = torch.tensor([len(rows) for rows in found], device=frames.device)
    return pad_sequence(found, batch_first=True), valid(sizes, int(sizes.max()))


def places(group: Tensor) -> tuple[Tensor, Tensor]:
    """Of queries in ``group`` int64 [B]: the place of each within its group, and the size of that; int64 [B] each."""
    same = group[:, None] == group
    return same.tril(-1).sum(1), same.sum(1)
