"""Segments of a video as (centre, length), in shares of it: how much two overlap, and who is matched with whom."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

TINY, SMALL = 1e-8, 1e-5


def giou(boxes: Tensor, others: Tensor, small: float = SMALL) -> Tensor:
    """Generalised IoU (Rezatofighi et al., CVPR 2019) of segments (centre, length) [..., 2] with others: [...].

    ``small`` is added to every denominator.
    """
    inter, union, hull = _lengths(boxes, others)
    return inter / (union + small) - (hull - union) / (hull + small)


def tiou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU of segments (centre, length) [..., 2] with others: [...]."""
    inter, union, _ = _lengths(boxes, others)
    return inter / (union + TINY)


def pairwise_giou(boxes: Tensor, others: Tensor, small: float = SMALL) -> Tensor:
    """Generalised IoU of every segment [N, 2] with every other [M, 2], given as (centre, length): [N, M]."""
    return giou(boxes[:, None], others[None], small)


def _lengths(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths of the intersection, the union and the hull of segments [..., 2] and others: [...] each."""
    start, end = boxes[..., 0] - boxes[..., 1] / 2, boxes[..., 0] + boxes[..., 1] / 2
    first, last = others[..., 0] - others[..., 1] / 2, others[..., 0] + others[..., 1] / 2
    inter = (torch.minimum(end, last) - torch.maximum(start, first)).clamp(min=0)
    union = (end - start) + (last - first) - inter
    hull = (torch.maximum(end, last) - torch.minimum(start, first)).clamp(min=0)
    return inter, union, hull


def logit(share: Tensor, small: float = SMALL) -> Tensor:
    """log(x / (1 - x)) of shares, which are kept ``small`` away from 0 and 1."""
    share = share.clamp(0, 1)
    return (share.clamp(min=small) / (1 - share).clamp(min=small)).log()


def assign(cost: Tensor) -> tuple[Tensor, Tensor]:
    """The assignment of least cost (Kuhn 1955) for a matrix [Q, E]: rows, ascending, and their columns.

    int64 [min(Q, E)] each.  A cost that is not finite counts as the worst one, so that the loss tells of it.
    """
    found = np.nan_to_num(cost.detach().cpu().numpy(), nan=1e6, posinf=1e6, neginf=-1e6)
    rows, columns = linear_sum_assignment(found)
    return torch.from_numpy(rows).to(cost.device), torch.from_numpy(columns).to(cost.device)
