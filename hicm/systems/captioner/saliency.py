"""Frame saliency: a head that tells frames inside annotated events from those outside, and whose scores the captioner
reads.

STaRC (CVPR 2026) trains such scores with a listwise softmax, and gives them to the decoder.  Here each frame's score,
less the mean over its video, times a learned vector is added to the frame's state; time tokens that point at frames
(``captioner.point_times``) see it there too.  The vector begins at 0, so adding the part to a trained captioner changes
nothing at first.

Shape legend: B videos, T frames, D feature width, d T5 width.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from hicm.types import Event

LOW = torch.finfo(torch.float32).min


class Saliency(nn.Module):
    """Scores of frames, and what they add to the frames' states."""

    def __init__(self, width: int, out: int) -> None:
        """``width`` is D, ``out`` is d."""
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)  # the mean is subtracted
        self.shown = nn.Parameter(torch.zeros(out))

    def forward(self, visual: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the visual encoder found, [B, T, D], and the real frames, bool [B, T].

        Returns scores float32 [B, T], less the mean over the real frames, 0 for others; and [B, T, d], to be added.
        """
        scores = self.score(visual).squeeze(2).float() * mask
        scores = (scores - scores.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)) * mask
        return scores, scores[:, :, None].to(visual.dtype) * self.shown


def listwise_loss(scores: Tensor, inside: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Summed over videos, the mean of -log softmax(scores) over the frames inside of events; and how many videos.

    scores float [B, T]; inside, mask bool [B, T], True = real.  Videos whose real frames are all inside, or all
    outside, have nothing to tell apart and do not count.
    """
    positive, negative = inside & mask, ~inside & mask
    counted = positive.any(1) & negative.any(1)
    losses = -scores.float().masked_fill(~mask, LOW).log_softmax(1)
    means = losses.masked_fill(~positive, 0.0).sum(1) / positive.sum(1).clamp(min=1)
    return means.masked_fill(~counted, 0.0).sum(), counted.sum()


def inside_events(events: Iterable[Event], duration: float, spans: np.ndarray) -> np.ndarray:
    """Whether the middle of each frame lies in an event: bool [T].

    ``duration`` in seconds; ``spans`` [T, 2]: when each frame is, as shares of it.
    """
    middles = spans.mean(axis=1) * duration
    found = np.zeros(len(spans), bool)
    for event in events:
        found |= (middles >= event.span.start) & (middles < event.span.end)
    return found
