"""What training draws at random: negatives, masked words, pairs of rows.  torch's generator decides all of it."""

import torch
from torch import Tensor

from hicm.systems.moments.batch import Batch, Draws

PAIRS = 2  # of rows, drawn for each query
SHARE = 3  # one of so many words is masked


def draw(batch: Batch) -> Draws:
    """The draws of one training step."""
    negative, has_negative = draw_negatives(batch.video)
    above, below, has_pairs = draw_pairs(batch.relevant, batch.ratings, batch.row_mask)
    return Draws(negative, has_negative, draw_masked(batch.weights, batch.word_lengths), above, below, has_pairs)


def draw_negatives(video: Tensor) -> tuple[Tensor, Tensor]:
    """For queries about ``video`` int64 [B] one about another video: int64 [B], and whether there is one, bool [B]."""
    other = video[:, None] != video
    some = other.any(1)
    chances = other.float() + (~some[:, None] * torch.eye(len(video), device=video.device))
    return torch.multinomial(chances, 1)[:, 0], some


def draw_masked(weights: Tensor, lengths: Tensor) -> Tensor:
    """Words to be masked, bool [B, L]: a third of each sentence, at least one, unless there is but one word.

    They are drawn one after the other with chances proportional to ``weights`` float32 [B, L], 0 for padding.
    """
    count = torch.where(lengths > 1, (lengths // SHARE).clamp(min=1), 0)
    waiting = torch.empty_like(weights).exponential_() / weights  # the first k to arrive are such a draw
    ranks = waiting.argsort(1).argsort(1)
    return (ranks < count[:, None]) & (weights > 0)


def draw_pairs(relevant: Tensor, ratings: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows that fit a query and rows that fit less, int64 [B, 2] each, and whether there are any, bool [B].

    Each from ``relevant`` rows and the other rows in ``mask``, bool [B, T].  Where ``ratings`` float32 [B, T] say more
    than that (above 1), the best row and a relevant one stand against the worst relevant one and another row
    (Moment-DETR, Lei et al., NeurIPS 2021).
    """
    other = mask & ~relevant
    some = relevant.any(1) & other.any(1)
    above, below = _choose(relevant), _choose(other)
    rated, noise = (ratings > 1).any(1), torch.rand_like(ratings) * 1e-3  # among equals, any
    above[:, 0] = torch.where(rated, (ratings + noise).masked_fill(~relevant, -torch.inf).argmax(1), above[:, 0])
    below[:, 0] = torch.where(rated, (ratings + noise).masked_fill(~relevant, torch.inf).argmin(1), below[:, 0])
    return above, below, some


def _choose(chosen: Tensor) -> Tensor:
    """`PAIRS` of the rows in ``chosen`` bool [B, T], different ones where there are enough: int64 [B, 2].

    Any rows where there are none.
    """
    waiting = torch.rand(chosen.shape, device=chosen.device).masked_fill(~chosen, torch.inf)
    found = waiting.argsort(1)[:, :PAIRS]
    count = chosen.sum(1, keepdim=True).clamp(min=1)
    places = torch.arange(PAIRS, device=chosen.device) % count
    return found.gather(1, places.clamp(max=found.shape[1] - 1))
