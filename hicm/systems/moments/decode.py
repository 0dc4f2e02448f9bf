"""From the predictions for all windows to the moments of each query."""

import torch
from torch import Tensor

from hicm.systems.moments.batch import Batch
from hicm.systems.moments.model import Layer, Output
from hicm.types import Event, Span


def ranked_windows(layer: Layer, durations: Tensor) -> Tensor:
    """The windows of B queries, the likeliest first: float64 [B, Q, 3] of start and end in seconds, and score.

    ``durations`` float64 [B].  They may begin before the video and end after it.
    """
    scores = layer.labels.float().softmax(2)[..., 0].cpu().double()
    centre, length = layer.boxes.float().cpu().double().unbind(2)
    seconds = torch.stack([centre - length / 2, centre + length / 2], 2) * durations[:, None, None]
    order = scores.argsort(stable=True, dim=1, descending=True)
    return torch.cat([seconds, scores[..., None]], 2).gather(1, order[..., None].expand(-1, -1, 3))


def moments(output: Output, batch: Batch, most: int) -> list[list[Event]]:
    """The ``most`` likely windows of every query, by video: V lists; queries in their order, cut to the video."""
    durations = torch.tensor(batch.durations, dtype=torch.float64)[batch.video.cpu()]
    found: list[list[Event]] = [[] for _ in batch.ids]
    windows = ranked_windows(output.layers[-1], durations)[:, :most].tolist()
    for video, text, ranked in zip(batch.video.tolist(), batch.texts, windows, strict=True):
        limit = batch.durations[video]
        found[video] += [Event(Span(min(max(start, 0.0), limit), min(max(end, 0.0), limit)), text, score)
                         for start, end, score in ranked]
    return found
