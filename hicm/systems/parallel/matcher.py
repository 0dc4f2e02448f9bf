"""Which query is to find which event: the assignment of least cost (DETR; Kuhn 1955)."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

ALPHA = 0.25  # of the focal loss
TINY, SMALL = 1e-8, 1e-5


def pairwise_giou(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalised IoU of every segment [N, 2] with every other [M, 2], given as (centre, length): [N, M]."""
    return giou(boxes[:, None], others[None])


def giou(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalised IoU of segments (centre, length) [..., 2] with others: [...]."""
    inter, union, hull = _lengths(boxes, others)
    return inter / (union + SMALL) - (hull - union) / (hull + SMALL)


def tiou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU of segments (centre, length) [..., 2] with others: [...]."""
    inter, union, _ = _lengths(boxes, others)
    return inter / (union + TINY)


def _lengths(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths of the intersection, the union and the hull of segments [..., 2] and others: [...] each."""
    start, end = boxes[..., 0] - boxes[..., 1] / 2, boxes[..., 0] + boxes[..., 1] / 2
    first, last = others[..., 0] - others[..., 1] / 2, others[..., 0] + others[..., 1] / 2
    inter = (torch.minimum(end, last) - torch.maximum(start, first)).clamp(min=0)
    union = (end - start) + (last - first) - inter
    hull = (torch.maximum(end, last) - torch.minimum(start, first)).clamp(min=0)
    return inter, union, hull


def costs(logits: Tensor, boxes: Tensor, targets: Tensor, event: float, iou: float) -> Tensor:
    """The cost of every query finding every event: [Q, E].

    ``logits`` [Q] of being an event, ``boxes`` [Q, 2], ``targets`` [E, 2]; ``event`` and ``iou`` weigh its parts.
    """
    share = logits.sigmoid()
    positive = ALPHA * (1 - share).square() * -(share + TINY).log()
    negative = (1 - ALPHA) * share.square() * -(1 - share + TINY).log()
    return event * (positive - negative)[:, None] - iou * pairwise_giou(boxes, targets)


@torch.no_grad()
def match(logits: Tensor, boxes: Tensor, targets: Tensor, event: float, iou: float) -> tuple[Tensor, Tensor]:
    """Queries, ascending, and the events they are to find: int64 [min(Q, E)] each; see `costs`.

    A cost that is not finite counts as the worst one, so that the loss tells of it.
    """
    cost = costs(logits.float(), boxes.float(), targets, event, iou).cpu().numpy()
    queries, events = linear_sum_assignment(np.nan_to_num(cost, nan=1e6, posinf=1e6, neginf=-1e6))
    return torch.from_numpy(queries).to(logits.device), torch.from_numpy(events).to(logits.device)
