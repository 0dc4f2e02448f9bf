"""Decoding in which no caption says the same n tokens in a row twice."""

import torch
from torch import Tensor

from hicm.systems.captioner.search import Rule


class NoRepeats:
    """Forbids the ids that would repeat ``n`` ids in a row of the same caption.

    ``first``: a rule that is applied before, or None; ``text_size`` is V, the ids from which on are times.
    """

    def __init__(self, n: int, text_size: int, first: Rule | None = None) -> None:
        self.n, self.text_size, self.first = n, text_size, first

    def __call__(self, ids: Tensor, scores: Tensor, videos: Tensor) -> Tensor:
        """ids [N, t] (first column: the decoder start), scores [N, C] -> scores with -inf where forbidden."""
        scores = scores if self.first is None else self.first(ids, scores, videos)
        before = self.n - 1  # ids that must agree
        if ids.shape[1] <= self.n:
            return scores
        places = torch.arange(ids.shape[1], device=ids.device)
        start = ((ids >= self.text_size) * places).amax(1)  # the last time token, or the decoder start
        ends = places[before:]  # of the id that followed
        alike = torch.ones(len(ids), len(ends), dtype=torch.bool, device=ids.device)
        for back in range(1, before + 1):
            alike &= ids[:, ends - back] == ids[:, -back, None]
        alike &= (ends - before > start[:, None]) & (ids.shape[1] - before > start)[:, None]
        forbidden = torch.zeros_like(scores).scatter_add(1, ids[:, before:], alike.to(scores.dtype))
        return scores.masked_fill(forbidden > 0, float("-inf"))
