"""Which prediction is compared with which reference caption, for all thresholds at once."""

from dataclasses import dataclass

import numpy as np

from hicm.dvc_eval.spans import iou

NO_EVENT = -1  # the reference of a prediction that meets no event


@dataclass(frozen=True)
class Pairs:
    """Pairs (P,) of one or more videos.  A pair counts at threshold t when ``low < t <= high``.

    A prediction and an event that overlap by IoU pair up to it: (-inf, IoU].  A prediction that meets nothing at t
    is compared with the protocol's unmatched string: (best IoU, inf].  So the pairs of a higher threshold are nested
    in those of a lower one, but for these strings.
    """

    video: np.ndarray
    hypothesis: np.ndarray
    reference: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, tiou: float) -> np.ndarray:
        """Mask (P,) of the pairs that count at this threshold."""
        return (self.low < tiou) & (tiou <= self.high)


def pair_up(video: int, predicted: np.ndarray, reference: np.ndarray, tious: tuple[float, ...]) -> Pairs:
    """Pairs of one video: spans (n, 2) of predictions and (m, 2) of all annotators' events, m >= 1.

    Every event with IoU >= t counts, so a prediction that overlaps three events is compared three times; indices are
    into the two arrays, NO_EVENT for the unmatched string.
    """
    overlap = iou(predicted, reference)
    hypothesis, event = np.nonzero(overlap >= min(tious))
    best = overlap.max(axis=1, initial=-np.inf)
    unmatched = np.flatnonzero(best < max(tious))
    return Pairs(
        video=np.full(len(hypothesis) + len(unmatched), video),
        hypothesis=np.concatenate([hypothesis, unmatched]),
        reference=np.concatenate([event, np.full(len(unmatched), NO_EVENT)]),
        low=np.concatenate([np.full(len(hypothesis), -np.inf), best[unmatched]]),
        high=np.concatenate([overlap[hypothesis, event], np.full(len(unmatched), np.inf)]),
    )


def join(parts: list[Pairs]) -> Pairs:
    """The pairs of several videos, one after the other."""
    empty = np.zeros(0, dtype=np.int64)
    if not parts:
        return Pairs(empty, empty, empty, empty.astype(float), empty.astype(float))
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in Pairs.__dataclass_fields__))
