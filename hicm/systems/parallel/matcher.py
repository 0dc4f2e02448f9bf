"""Which query is to find which event: the assignment of least cost (DETR)."""

import torch
from torch import Tensor

from hicm.nn.segments import TINY, assign, pairwise_giou

ALPHA = 0.25  # of the focal loss


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
    """Queries, ascending, and the events they are to find: int64 [min(Q, E)] each; see `costs` and `assign`."""
    return assign(costs(logits.float(), boxes.float(), targets, event, iou))
