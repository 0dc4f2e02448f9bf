"""The input of the system: arrays of one video, and padded batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hicm.nn.moving import moved


@dataclass(frozen=True)
class Item:
    """One video; ``boxes`` and ``sentences`` are those of its events, in their order."""

    id: str
    duration: float  # seconds
    rows: np.ndarray  # float32 [T, D], T >= 1, all real
    memory: np.ndarray  # float32 [W, D], all real; W may be 0
    boxes: np.ndarray  # float32 [E, 2]: centre and length as shares of the video
    sentences: list[list[int]]  # word ids between two zeros


@dataclass(frozen=True)
class Batch:
    """B videos, padded with zeros."""

    ids: tuple[str, ...]
    durations: tuple[float, ...]  # B, seconds; no tensor, as float32 would move the ends of videos
    rows: Tensor  # float32 [B, T, D]
    lengths: Tensor  # int64 [B]
    memory: Tensor  # float32 [B, W, D], W >= 1
    memory_lengths: Tensor  # int64 [B], may be 0
    boxes: Tensor  # float32 [B, E, 2]
    words: Tensor  # int64 [B, E, M]: word ids between two zeros
    events: Tensor  # int64 [B]: how many of the E are real

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        there: dict[str, Any] = {f.name: moved(value, device) for f in fields(self)
                                 if isinstance(value := getattr(self, f.name), Tensor)}
        return replace(self, **there)


def collate(items: Sequence[Item]) -> Batch:
    """Stack videos; each kind of array is padded to its longest."""
    words = np.zeros((len(items), max(len(item.sentences) for item in items),
                      max((len(ids) for item in items for ids in item.sentences), default=2)), np.int64)
    for row, item in enumerate(items):
        for place, ids in enumerate(item.sentences):
            words[row, place, :len(ids)] = ids
    return Batch(
        ids=tuple(item.id for item in items),
        durations=tuple(item.duration for item in items),
        rows=_pad([item.rows for item in items]),
        lengths=torch.tensor([len(item.rows) for item in items]),
        memory=_pad([item.memory for item in items], 1),
        memory_lengths=torch.tensor([len(item.memory) for item in items]),
        boxes=_pad([item.boxes for item in items]),
        words=torch.from_numpy(words),
        events=torch.tensor([len(item.boxes) for item in items]),
    )


def _pad(arrays: Sequence[np.ndarray], least: int = 0) -> Tensor:
    padded = np.zeros((len(arrays), max(least, *map(len, arrays)), arrays[0].shape[1]), np.float32)
    for row, array in zip(padded, arrays, strict=True):
        row[:len(array)] = array
    return torch.from_numpy(padded)
