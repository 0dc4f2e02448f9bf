"""Losses of saliency: rows that fit a query score higher than others, and than all rows under another query's words.

QD-DETR, Moon et al., CVPR 2023; the triplet loss is Moment-DETR's, Lei et al., NeurIPS 2021.  All are [B].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hicm.systems.moments.batch import Batch, Draws
from hicm.systems.moments.settings import ObjectiveSettings

TEMPERATURE = 0.5
HIGHEST = 12  # ratings are sums of three, each from 0 to 4


def saliency_losses(positive: Tensor, negative: Tensor, batch: Batch, draws: Draws,
                    settings: ObjectiveSettings) -> Tensor:
    """The loss of each query, float32 [B], from scores [B, T] under its own words and under another query's."""
    mask = batch.row_mask
    other = mask & draws.has_negative[:, None]
    found = (ranking_losses(positive, negative, batch.ratings, mask, other) / settings.rank
             + negative_losses(negative, other))
    return found + triplet_losses(positive, draws, settings.margin) if settings.triplet else found


def negative_losses(negative: Tensor, mask: Tensor) -> Tensor:
    """-log(1 - sigmoid(score)), summed over the rows in ``mask`` bool [B, T], none of which fits."""
    return (F.softplus(negative) * mask).sum(1)


def ranking_losses(positive: Tensor, negative: Tensor, ratings: Tensor, mask: Tensor, other: Tensor) -> Tensor:
    """Rank-aware contrast: for every rating r, rows rated r or more against all others, the negatives included.

    ``mask`` and ``other`` bool [B, T]: the real rows of both kinds.
    """
    scores = torch.cat([positive.masked_fill(~mask, -torch.inf), negative.masked_fill(~other, -torch.inf)], 1)
    logs = (scores.float() / TEMPERATURE).log_softmax(1)[:, :positive.shape[1]].masked_fill(~mask, 0.0)
    levels = torch.arange(1, HIGHEST, device=ratings.device)
    above = (ratings[:, None] >= levels[:, None]) & mask[:, None]  # [B, levels, T]
    return -((logs[:, None] * above).sum(2) / above.sum(2).clamp(min=1)).sum(1)


def triplet_losses(positive: Tensor, draws: Draws, margin: float) -> Tensor:
    """Twice the mean over drawn pairs of rows of what is missing to the margin between their scores."""
    missing = (margin + positive.gather(1, draws.below) - positive.gather(1, draws.above)).clamp(min=0)
    return 2 * missing.mean(1) * draws.has_pairs
