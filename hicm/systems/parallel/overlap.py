"""Overlapping segments: a loss against them in training, and non-maximum suppression in prediction."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hicm.nn.segments import tiou
from hicm.types import Span

GAMMA = 0.35  # weight of the penalty on a query that fits its events; 1 - GAMMA: on one far from all of them
FLOOR = 1e-6  # the smallest number whose logarithm is taken


def overlap_loss(boxes: Tensor, targets: Tensor, events: Tensor, kept: Tensor | None = None) -> Tensor:
    """The overlap suppression loss of ROS-DVC (Baek et al., CVPR 2026, arXiv 2603.11439) of each video: float32 [B].

    ``boxes`` [B, Q, 2] and ``targets`` [B, E, 2] are (centre, length), of which the first ``events`` int64 [B] are
    real; of the queries, those in ``kept`` bool [B, Q] count (None: all).

    L = -a log(1 - P) with a = g G + (1 - g)(1 - G): P is how much a query overlaps the others, G how well it fits the
    events; with g < 0.5, those that fit are penalised less.  As in the authors' code, P is the mean tIoU with the
    queries that it overlaps, G that with the events that it overlaps (none: 0), g = 0.35, and L is averaged over
    queries.  Ours: padding and queries left out do not count.
    """
    kept = torch.ones_like(boxes[..., 0], dtype=torch.bool) if kept is None else kept
    other = ~torch.eye(boxes.shape[1], dtype=torch.bool, device=boxes.device) & kept[:, None]
    real = torch.arange(targets.shape[1], device=boxes.device) < events[:, None]
    crowding = _mean_overlap(boxes, boxes, other)
    fit = _mean_overlap(boxes, targets, real[:, None])
    weights = GAMMA * fit + (1 - GAMMA) * (1 - fit)
    losses = -weights * (1 - crowding).clamp(min=FLOOR).log()
    return (losses * kept).sum(1) / kept.sum(1).clamp(min=1)


def _mean_overlap(boxes: Tensor, others: Tensor, mask: Tensor) -> Tensor:
    """Mean tIoU of each of the boxes [B, Q, 2] with those in ``mask`` of others [B, M, 2] that it overlaps: [B, Q]."""
    overlaps = tiou(boxes[:, :, None], others[:, None])
    some = (overlaps > 0) & mask
    return (overlaps * some).sum(2) / some.sum(2).clamp(min=1)


def suppress_overlaps(spans: Sequence[Span], limit: float, most: int) -> list[int]:
    """Indices of the first ``most`` spans whose tIoU with each span chosen before is at most ``limit``."""
    chosen: list[int] = []
    for place, span in enumerate(spans):
        if len(chosen) == most:
            break
        if limit >= 1 or all(_tiou(span, spans[other]) <= limit for other in chosen):
            chosen.append(place)
    return chosen


def _tiou(span: Span, other: Span) -> float:
    inter = max(0.0, min(span.end, other.end) - max(span.start, other.start))
    union = (span.end - span.start) + (other.end - other.start) - inter
    return inter / union if union > 0 else 0.0
