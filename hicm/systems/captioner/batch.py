"""The input of the captioner: arrays and token sequences of one video, and padded batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hicm.nn.moving import moved
from hicm.systems.captioner.vocabulary import PAD
from hicm.types import Span

EXACT = ("spans", "cosines", "marks")  # stay in float32


@dataclass(frozen=True)
class Item:
    """One video.  ``memory`` has no rows if the run has no memory; token sequences end with EOS."""

    id: str
    duration: float  # seconds
    frames: np.ndarray  # float32 [T, D]
    frame_mask: np.ndarray  # bool [T]
    memory: np.ndarray  # float32 [W, D]
    memory_mask: np.ndarray  # bool [W]
    speech: list[int]
    target: list[int]
    noisy_speech: list[int]
    noisy_target: list[int]
    given: tuple[Span, ...] | None = None  # events to word, in seconds
    spans: np.ndarray | None = None  # float32 [T + W, 2]: when frames and memory are, as shares of the duration
    marks: np.ndarray | None = None  # float32 [W, 5]: what each recalled vector stands for (memory_positions.py)
    cosines: tuple[float, ...] = ()  # of the sentences that the first of the ids in ``speech`` belong to, by id
    hidden: np.ndarray | None = None  # bool [T]: frames that the model is not to see
    inside: np.ndarray | None = None  # bool [T]: frames in annotated events


@dataclass(frozen=True)
class Batch:
    """B videos, right-padded with 0.  Token ids are int64, masks are bool with True = real."""

    ids: tuple[str, ...]
    durations: tuple[float, ...]  # seconds
    frames: Tensor  # float32 [B, T, D]
    frame_mask: Tensor  # [B, T]
    memory: Tensor  # float32 [B, W, D]
    memory_mask: Tensor  # [B, W]
    speech: Tensor  # [B, L]
    target: Tensor  # [B, L']
    noisy_speech: Tensor  # [B, L'']
    noisy_target: Tensor  # [B, L''']
    given: tuple[tuple[Span, ...], ...] = ()  # the events of each video that are to be worded, if there are any
    spans: Tensor | None = None  # float32 [B, T + W, 2]
    marks: Tensor | None = None  # float32 [B, W, 5]
    cosines: Tensor | None = None  # float32 [B, L], 0 for speech
    hidden: Tensor | None = None  # bool [B, T]
    inside: Tensor | None = None  # bool [B, T]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Batch":
        """The same batch on another device; ``dtype``: of its frames and recalled vectors, None: as they are."""
        there: dict[str, Any] = {
            f.name: moved(value, device, dtype if value.is_floating_point() and f.name not in EXACT else None)
            for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}
        return replace(self, **there)

    def take(self, rows: Sequence[int], speech: int) -> "Batch":
        """Some of the videos, with the first ``speech`` ids of what the encoder reads."""
        chosen: dict[str, Any] = {f.name: value[list(rows)] for f in fields(self)
                                  if isinstance(value := getattr(self, f.name), Tensor)}
        chosen |= {name: chosen[name][:, :speech] for name in ("speech", "cosines") if name in chosen}
        chosen |= {name: tuple(value[row] for row in rows) for name in ("ids", "durations", "given")
                   if (value := getattr(self, name))}
        return replace(self, **chosen)


def collate(items: Sequence[Item]) -> Batch:
    """Stack videos; each kind of sequence is padded to the length of its longest."""
    return Batch(
        ids=tuple(item.id for item in items),
        durations=tuple(item.duration for item in items),
        frames=torch.from_numpy(np.stack([item.frames for item in items])),
        frame_mask=torch.from_numpy(np.stack([item.frame_mask for item in items])),
        memory=torch.from_numpy(np.stack([item.memory for item in items])),
        memory_mask=torch.from_numpy(np.stack([item.memory_mask for item in items])),
        speech=pad([item.speech for item in items]),
        target=pad([item.target for item in items]),
        noisy_speech=pad([item.noisy_speech for item in items]),
        noisy_target=pad([item.noisy_target for item in items]),
        marks=_stacked([item.marks for item in items]),
        given=() if items[0].given is None else tuple(item.given or () for item in items),
        spans=_stacked([item.spans for item in items]),
        cosines=_scores([item.cosines for item in items], max(len(item.speech) for item in items)),
        hidden=_stacked([item.hidden for item in items]),
        inside=_stacked([item.inside for item in items]),
    )


def _stacked(arrays: Sequence[np.ndarray | None]) -> Tensor | None:
    """The arrays in one; None where one of them is missing."""
    there = [array for array in arrays if array is not None]
    return torch.from_numpy(np.stack(there)) if len(there) == len(arrays) else None


def _scores(rows: Sequence[Sequence[float]], length: int) -> Tensor:
    """Numbers, right-padded with 0: float32 [B, length]."""
    padded = torch.zeros(len(rows), length)
    for row, numbers in zip(padded, rows, strict=True):
        row[: len(numbers)] = torch.as_tensor(numbers)
    return padded


def pad(sequences: Sequence[Sequence[int]]) -> Tensor:
    """Token ids, right-padded with 0: int64 [B, longest]."""
    padded = torch.full((len(sequences), max(map(len, sequences))), PAD, dtype=torch.int64)
    for row, ids in zip(padded, sequences, strict=True):
        row[: len(ids)] = torch.as_tensor(ids, dtype=torch.int64)
    return padded
