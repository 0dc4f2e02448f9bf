"""Which event each token belongs to, and which encoder states belong to that event.

A caption follows the two time tokens of its event, so all ids from them on, until the next time token, belong to it.
Spans are shares of the video's duration, [start, end] in 0..1; the whole video, [0, 1], belongs to every event.

Shape legend: B videos, L tokens, S encoder states, V text pieces, bins time tokens.
"""

import torch
from torch import Tensor

from hicm.systems.captioner.vocabulary import EOS


def open_spans(ids: Tensor, text_size: int, bins: int) -> Tensor:
    """The span of the event that is open after each of the ids int64 [B, L]: float32 [B, L, 2].

    Two time tokens in a row open an event, a single one and EOS close it.  Where none is open the span is the whole
    video.
    """
    if not ids.shape[1]:
        return torch.zeros(*ids.shape, 2, device=ids.device)
    is_time = ids >= text_size
    last, ended = _latest(is_time), _latest(ids == EOS)
    before = (last - 1).clamp(min=0)
    is_open = (last > ended) & (last > 0) & is_time.gather(1, before)
    share = (ids - text_size).float() / (bins - 1)
    spans = torch.stack([share.gather(1, before), share.gather(1, last.clamp(min=0))], 2)
    return torch.where(is_open[:, :, None], spans, spans.new_tensor([0.0, 1.0]))


def overlaps(events: Tensor, spans: Tensor, bins: int) -> Tensor:
    """Which states [B, S, 2] lie at least partly in each of the events [B, L, 2]: bool [B, L, S].

    A time lies at its bin or up to one bin later (`to_bin` truncates), so an event is taken to end one bin later.
    """
    starts, ends = events[:, :, None, 0], events[:, :, None, 1] + 1 / (bins - 1)
    return (spans[:, None, :, 0] < ends) & (spans[:, None, :, 1] > starts)


def shared(events: Tensor, spans: Tensor) -> Tensor:
    """Intersection over union of events [B, L, 2] and states [B, S, 2]: float32 [B, L, S] in 0..1."""
    starts = torch.maximum(events[:, :, None, 0], spans[:, None, :, 0])
    ends = torch.minimum(events[:, :, None, 1], spans[:, None, :, 1])
    common = (ends - starts).clamp(min=0)
    union = (events[:, :, None, 1] - events[:, :, None, 0]) + (spans[:, None, :, 1] - spans[:, None, :, 0]) - common
    return common / union.clamp(min=1e-6)


def _latest(where: Tensor) -> Tensor:
    """The latest place at or before each one where ``where`` [B, L] holds, -1 if there is none: int64 [B, L]."""
    places = torch.arange(where.shape[1], device=where.device).expand_as(where)
    return torch.where(where, places, -1).cummax(1).values
