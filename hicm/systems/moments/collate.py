"""From videos and their queries to padded batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hicm.data.streams import normalise_rows
from hicm.systems.moments.batch import Batch


@dataclass(frozen=True)
class Asked:
    """One query, ready for the network."""

    id: str
    text: str
    words: np.ndarray  # float32 [L, E], L >= 1
    labels: np.ndarray  # int64 [L]: classes of the words
    unknown: np.ndarray  # bool [L]
    weights: np.ndarray  # float32 [L]: how likely a word is masked
    windows: np.ndarray  # float32 [N, 2]: centre and length as shares of the video; N = 0: to be predicted
    relevant: np.ndarray  # bool [T]
    ratings: np.ndarray  # float32 [T]
    recalled: np.ndarray | None = None  # float32 [R, E]: texts of the memory; None: none


@dataclass(frozen=True)
class Item:
    """A video, or a part of its queries."""

    id: str
    duration: float  # seconds
    seconds: float  # of each row
    rows: np.ndarray  # float32 [T, D], T >= 1
    queries: tuple[Asked, ...]


def collate(groups: Sequence[Sequence[Item]]) -> Batch:
    """Stack the queries of several videos.

    Videos of one of the ``groups`` share the segment-sentence token and its loss; usually each is a group of its own.
    """
    items = [item for group in groups for item in group]
    asked = [query for item in items for query in item.queries]
    of_item = np.repeat(np.arange(len(items)), [len(item.queries) for item in items])
    of_group = np.repeat(np.arange(len(groups)), [sum(len(item.queries) for item in group) for group in groups])
    none = np.zeros((0, asked[0].words.shape[1]), np.float32)
    recalled = [none if query.recalled is None else normalise_rows(query.recalled) for query in asked]
    return Batch(
        ids=tuple(item.id for item in items),
        durations=tuple(item.duration for item in items),
        seconds=tuple(item.seconds for item in items),
        queries=tuple(query.id for query in asked),
        texts=tuple(query.text for query in asked),
        rows=_pad([item.rows for item in items]),
        lengths=torch.tensor([len(item.rows) for item in items]),
        video=torch.from_numpy(of_item),
        group=torch.from_numpy(of_group),
        words=_pad([normalise_rows(query.words) for query in asked]),
        word_lengths=torch.tensor([len(query.words) for query in asked]),
        recalled=_pad(recalled, least=1),
        recalled_lengths=torch.tensor([len(texts) for texts in recalled]),
        windows=_pad([query.windows for query in asked]),
        counts=torch.tensor([len(query.windows) for query in asked]),
        hulls=torch.from_numpy(np.stack([_hull(query.windows) for query in asked])),
        relevant=_pad([query.relevant for query in asked]),
        ratings=_pad([query.ratings for query in asked]),
        labels=_pad([query.labels for query in asked]),
        unknown=_pad([query.unknown for query in asked]),
        weights=_pad([query.weights for query in asked]),
    )


def _pad(arrays: Sequence[np.ndarray], least: int = 0) -> Tensor:
    """Stacked arrays of any type, with zeros where one is shorter than the longest, or than ``least``."""
    padded = np.zeros((len(arrays), max(least, *map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[:len(array)] = array
    return torch.from_numpy(padded)


def _hull(windows: np.ndarray) -> np.ndarray:
    """From the start of the first to the end of the last of windows [N, 2], given as (centre, length): float32 [2]."""
    if not len(windows):
        return np.zeros(2, np.float32)
    return np.array([(windows[:, 0] - windows[:, 1] / 2).min(), (windows[:, 0] + windows[:, 1] / 2).max()], np.float32)
