"""The losses of windows: where they lie, and which ones are found."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hicm.nn.segments import TINY, giou
from hicm.systems.moments.matcher import match
from hicm.systems.moments.model import Layer
from hicm.systems.moments.settings import ObjectiveSettings

FOUND, BACKGROUND = 0, 1  # columns of `Layer.labels`


def window_losses(layer: Layer, targets: Tensor, counts: Tensor, settings: ObjectiveSettings) -> Tensor:
    """Sums of the losses span and giou over matched pairs, and of label over windows: float32 [3].

    ``targets`` [B, N, 2] as (centre, length), of which the first ``counts`` int64 [B] are real.
    """
    query, window, target = match(layer, targets, counts, settings)
    boxes, goals = layer.boxes[query, window], targets[query, target]
    wanted = torch.full(layer.labels.shape[:2], BACKGROUND, device=targets.device)
    wanted[query, window] = FOUND
    each = F.cross_entropy(layer.labels.flatten(0, 1), wanted.flatten(), reduction="none")
    weights = torch.where(wanted.flatten() == FOUND, 1.0, settings.background)
    return torch.stack([(boxes - goals).abs().mean(1).sum(), (1 - giou(boxes, goals, TINY)).sum(),
                        (each * weights).sum()])
