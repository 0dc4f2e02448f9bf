"""The loss of masked words."""

import torch.nn.functional as F
from torch import Tensor

SMOOTHING = 0.1


def word_losses(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Smoothed cross-entropy of each query, float32 [B]: the mean over all its words, whether masked or not.

    ``logits`` [B, L, C], ``labels`` int64 [B, L], ``mask`` bool [B, L].
    """
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=SMOOTHING)
    return (losses.view(labels.shape) * mask).sum(1) / mask.sum(1)
