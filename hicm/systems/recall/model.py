"""What the recall system knows: the memory's captions as a matrix, and the mean of the training rows.

n segments of a video, N captions, D width.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hicm.data.ids import youtube_id
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.systems.recall.segment import unit_rows
from hicm.systems.recall.settings import Settings

REPEATS = 20  # captions looked at for every different text that is wanted
TIE = 1e-6  # cosines this close are equal and the first caption wins: rounding must not choose


@dataclass(frozen=True, eq=False)
class Captions:
    """N sentences that can be quoted, in bank order."""

    texts: tuple[str, ...]
    vectors: np.ndarray  # [N, D] float32, L2-normalised
    owners: np.ndarray | None  # [N] YouTube id of the video each one describes; None: unknown

    @cached_property
    def centred(self) -> np.ndarray:
        """The vectors less their mean, normalised again: float32 [N, D]."""
        return unit_rows(self.vectors - self.vectors.mean(axis=0)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Recalled:
    """The caption that each of n segments quotes."""

    captions: np.ndarray  # [n] int64, place in `Captions`; -1: there is none
    scores: np.ndarray  # [n] float32, its cosine to the segment; -inf: there is none


def captions_of(bank: Bank) -> Captions:
    """The captions of a bank where it keeps their embeddings, else the sentences of its finest level."""
    leaves = bank.leaves
    if leaves is None or leaves.embeddings is None:
        level = bank.level(1)
        return Captions(level.texts, unit_rows(level.embeddings).astype(np.float32), None)
    owners = np.array([youtube_id(video) for video in leaves.videos]) if all(leaves.videos) else None
    return Captions(leaves.texts, unit_rows(leaves.embeddings).astype(np.float32), owners)


def fit(videos: Iterable[np.ndarray]) -> np.ndarray:
    """The mean L2-normalised row of the training videos' rows [T, D], float32 [D]; videos are read one at a time.

    It stands for what all images share beside what they show: the modality gap of Liang et al., "Mind the gap",
    NeurIPS 2022.  Raises UserError when there is no row.
    """
    total, count = np.zeros(1), 0
    for rows in videos:
        total = total + unit_rows(rows).sum(axis=0)
        count += len(rows)
    if not count:
        raise UserError("recall: no row of features to fit the mean on; name a training split with features")
    return (total / count).astype(np.float32)


def recall(means: np.ndarray, captions: Captions, mean: np.ndarray, settings: Settings,
           without: str | None = None) -> Recalled:
    """What each segment of one video quotes.

    ``means`` [n, D] of the segments' rows, ``mean`` [D] from `fit`.  Of the ``settings.neighbours`` captions with the
    highest cosine, the one closest to the centre of them all is quoted (consensus: Devlin et al., "Exploring nearest
    neighbor approaches for image captioning", 2015), so one outlier or hub does not speak for the event.
    ``without``: the video whose own captions are left out (None: nothing is).  Of equals the first in the bank wins.
    Raises UserError when the widths differ, or when own captions are to be left out and the bank does not record
    which video each caption is from.
    """
    scores = _scores(means, captions, mean, settings)
    if without is not None:
        scores[:, _own(captions, without)] = -np.inf
    chosen = np.array([_quote(row, captions, settings.neighbours) for row in scores], np.int64)
    found = np.where(chosen >= 0, scores[np.arange(len(scores)), chosen], -np.inf)
    return Recalled(chosen, found.astype(np.float32))


def nearest_texts(means: np.ndarray, captions: Captions, mean: np.ndarray, settings: Settings,
                  count: int) -> list[tuple[str, ...]]:
    """Up to ``count`` different texts for each segment, the nearest first; the arguments are those of `recall`."""
    scores = _scores(means, captions, mean, settings)
    found = [dict.fromkeys(captions.texts[place] for place in _nearest(row, REPEATS * count)) for row in scores]
    return [tuple(texts)[:count] for texts in found]


def _scores(means: np.ndarray, captions: Captions, mean: np.ndarray, settings: Settings) -> np.ndarray:
    """Cosines of segments and captions, float32 [n, N]."""
    width = captions.vectors.shape[1]
    if means.shape[1] != width:
        raise UserError(f"features are {means.shape[1]} wide and the memory bank {width}; build the bank with the text "
                        "encoder that belongs to the features (memory.encoder)")
    queries = unit_rows(means if settings.centring == "none" else means - mean).astype(np.float32)
    matrix = captions.centred if settings.centring == "both" else captions.vectors
    return queries @ matrix.T


def _own(captions: Captions, video: str) -> np.ndarray:
    if captions.owners is None:
        raise UserError("memory bank: leaving a video's own captions out needs the bank's captions with their videos "
                        "and embeddings, and this bank has none; build it with hicm memory build")
    return captions.owners == youtube_id(video)


def _quote(scores: np.ndarray, captions: Captions, neighbours: int) -> int:
    """The most central of the nearest captions by scores [N]; -1 when all are -inf."""
    nearest = _nearest(scores, neighbours)
    if len(nearest) < 2:
        return int(nearest[0]) if len(nearest) else -1
    vectors = captions.centred[nearest]
    central = vectors @ vectors.sum(axis=0)
    return int(nearest[np.argmax(central >= central.max() - TIE * len(nearest))])


def _nearest(scores: np.ndarray, count: int) -> np.ndarray:
    """Places of the ``count`` highest finite scores, best first; those equal within TIE in order of place."""
    count = min(count, len(scores))
    lowest = np.partition(scores, len(scores) - count)[len(scores) - count]
    near = np.flatnonzero((scores >= lowest - TIE) & (scores > -np.inf))
    near = near[np.argsort(-scores[near], kind="stable")]
    equal = np.cumsum(np.diff(scores[near], prepend=scores[near[:1]]) < -TIE)  # number of each run of equal scores
    return near[np.lexsort((near, equal))][:count]
