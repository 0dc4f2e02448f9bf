"""The times of the encoder states of a batch, and the words of those that are text."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

SCALES = (1, 2, 4)  # frames before and after that `novelty` compares, N = 2 for each


@dataclass(frozen=True)
class Context:
    """Of B videos with S encoder states: the first T are frames, the last L are text, recalled vectors lie between."""

    spans: Tensor  # float32 [B, S, 2]: start and end of each state as shares of the duration; [0, 1] if it has no time
    mask: Tensor  # bool [B, S], True = real
    frames: int  # T
    text: Tensor  # int64 [B, L]: ids of the text
    cosines: Tensor  # float32 [B, L]: how near the sentence of each id was to what recalled it; 0 for speech
    novelty: Tensor  # [B, T, N]: how much changes at each frame; see `novelty`

    def take(self, rows: Sequence[int] | Tensor) -> "Context":
        """Some of the videos: rows, or bool [B]."""
        return Context(self.spans[rows], self.mask[rows], self.frames, self.text[rows], self.cosines[rows],
                       self.novelty[rows])


def novelty(frames: Tensor, mask: Tensor) -> Tensor:
    """How much the means of the frames before and after each frame's beginning and end differ: float [B, T, N].

    frames [B, T, D], mask bool [B, T].  1 - cosine, less its mean over the video; several numbers of frames (`SCALES`)
    are compared, each at the beginning and at the end.  Zero where nothing is before or after.
    """
    count = mask.float()[:, :, None]
    sums = pad((frames.float() * count).cumsum(1), (0, 0, 1, 0))  # [B, T + 1, D]: of all frames before each edge
    counts = pad(count.cumsum(1), (0, 0, 1, 0))
    edges = torch.arange(frames.shape[1] + 1, device=frames.device)
    found = []
    for scale in SCALES:
        low, high = (edges - scale).clamp(min=0), (edges + scale).clamp(max=frames.shape[1])
        before, after = (sums[:, b] - sums[:, a] for a, b in ((low, edges), (edges, high)))
        real = ((counts - counts[:, low]) > 0) & ((counts[:, high] - counts) > 0)
        change = (1 - cosine_similarity(before, after, 2)[:, :, None]) * real
        change = (change - change.sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1)) * real
        found += [change[:, :-1], change[:, 1:]]
    return torch.cat(found, 2).to(frames.dtype)
