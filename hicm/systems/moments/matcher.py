"""Which window is to find which moment: the assignment of least cost (DETR)."""

import torch
from torch import Tensor

from hicm.nn.segments import TINY, assign, pairwise_giou
from hicm.systems.moments.model import Layer
from hicm.systems.moments.settings import ObjectiveSettings


def costs(labels: Tensor, boxes: Tensor, targets: Tensor, settings: ObjectiveSettings) -> Tensor:
    """The cost of every window finding every moment: [Q, N].

    ``labels`` [Q, 2] logits, ``boxes`` [Q, 2], ``targets`` [N, 2].
    """
    distance = (boxes[:, None] - targets).abs().sum(2)
    return (settings.span * distance - settings.giou * pairwise_giou(boxes, targets, TINY)
            - settings.label * labels.softmax(1)[:, :1])


@torch.no_grad()
def match(layer: Layer, targets: Tensor, counts: Tensor, settings: ObjectiveSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Matched pairs: query, window of it and target of it, int64 [P] each; windows ascend within a query.

    ``targets`` [B, N, 2], of which the first ``counts`` int64 [B] are real.
    """
    found = [assign(costs(labels.float(), boxes.float(), goal[:count], settings)) for labels, boxes, goal, count in
             zip(layer.labels, layer.boxes, targets, counts.tolist(), strict=True)]
    sizes = torch.tensor([len(windows) for windows, _ in found], device=targets.device)
    query = torch.arange(len(found), device=targets.device).repeat_interleave(sizes)
    return query, torch.cat([windows for windows, _ in found]), torch.cat([goals for _, goals in found])
