"""The input of the network: padded batches of queries, and what is drawn at random for a training step.

Shapes: V videos of at most T rows, B queries about them, of at most L words; N windows of a query at most.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from hicm.nn.moving import moved

T = TypeVar("T", "Batch", "Draws")


def _there(record: T, device: torch.device | str) -> T:
    found: dict[str, Any] = {f.name: moved(value, device) for f in fields(record)
                             if isinstance(value := getattr(record, f.name), Tensor)}
    return replace(record, **found)


def valid(lengths: Tensor, size: int) -> Tensor:
    """bool [B, size], True: one of the first ``lengths`` int64 [B]."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


@dataclass(frozen=True)
class Batch:
    """B queries about V videos, padded with zeros.  Windows are (centre, length), as shares of the video."""

    ids: tuple[str, ...]  # V: of the videos
    durations: tuple[float, ...]  # V, seconds
    seconds: tuple[float, ...]  # V: how long each row of a video lasts
    queries: tuple[str, ...]  # B: their ids
    texts: tuple[str, ...]  # B
    rows: Tensor  # float32 [V, T, D]
    lengths: Tensor  # int64 [V]
    video: Tensor  # int64 [B]: the video of each query
    group: Tensor  # int64 [B]: queries of a group share a segment-sentence token
    words: Tensor  # float32 [B, L, E], each of norm 1
    word_lengths: Tensor  # int64 [B], at least 1
    recalled: Tensor  # float32 [B, R, E], R >= 1: vectors of recalled texts, each of norm 1
    recalled_lengths: Tensor  # int64 [B]
    # what is to be learnt:
    windows: Tensor  # float32 [B, N, 2]
    counts: Tensor  # int64 [B]: how many of the N are real
    hulls: Tensor  # float32 [B, 2]: from the first to the last window, as start and end
    relevant: Tensor  # bool [B, T]: rows that show what the query says
    ratings: Tensor  # float32 [B, T]: how well they show it; 0 where they do not
    labels: Tensor  # int64 [B, L]: classes of the words
    unknown: Tensor  # bool [B, L]: words without a class of their own
    weights: Tensor  # float32 [B, L]: how likely a word is masked

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return _there(self, device)

    @property
    def row_mask(self) -> Tensor:
        """bool [B, T], True: a real row of the query's video."""
        return valid(self.lengths, self.rows.shape[1])[self.video]

    @property
    def word_mask(self) -> Tensor:
        """bool [B, L], True: a real word."""
        return valid(self.word_lengths, self.words.shape[1])

    @property
    def recalled_mask(self) -> Tensor:
        """bool [B, R], True: a recalled text."""
        return valid(self.recalled_lengths, self.recalled.shape[1])


@dataclass(frozen=True)
class Draws:
    """What is drawn at random for a training step; see draw.py."""

    negative: Tensor  # int64 [B]: a query about another video; the query itself where there is no other video
    has_negative: Tensor  # bool [B]
    masked: Tensor  # bool [B, L]: words that are masked
    above: Tensor  # int64 [B, P]: rows that are to score higher than those
    below: Tensor  # int64 [B, P]: of these
    has_pairs: Tensor  # bool [B]

    def to(self, device: torch.device | str) -> "Draws":
        """The same draws on another device."""
        return _there(self, device)
