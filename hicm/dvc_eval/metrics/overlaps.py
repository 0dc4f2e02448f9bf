"""Which predictions and events of a video overlap, and which starts are nearest: for all videos at once.

The time is that of sorting plus the number of pairs found, so a video may hold a hundred thousand events.
"""

from dataclasses import dataclass

import numpy as np

from hicm.dvc_eval.inputs.arrays import expand, joint_codes
from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.metrics.spans import pair_iou
from hicm.errors import UserError

MOST = 10_000_000  # overlapping pairs in one video: 3,000 events on both sides that all overlap


@dataclass(frozen=True)
class Overlaps:
    """Pairs (K,) with IoU > 0: indices into the events of predictions and of one annotator, and the IoU."""

    prediction: np.ndarray
    event: np.ndarray
    iou: np.ndarray


def find_overlaps(case: Case, reference: Events) -> Overlaps:
    """All overlapping pairs with one annotator, ordered by video, prediction and event.

    Two spans overlap when one starts within the other.  Spans without length overlap nothing.  Raises UserError for
    a video with more than MOST overlapping pairs.
    """
    predicted = case.predicted
    said = np.flatnonzero(predicted.spans[:, 0] < predicted.spans[:, 1])
    written = np.flatnonzero(reference.spans[:, 0] < reference.spans[:, 1])
    (start, end), (other_start, other_end) = predicted.spans[said].T, reference.spans[written].T
    video, other_video = predicted.video[said], reference.video[written]
    codes = joint_codes((video, start), (video, end), (other_video, other_start), (other_video, other_end))
    later, one = _starts_within(codes[2], codes[0], codes[1], "right")  # events that start after the prediction does
    first, two = _starts_within(codes[0], codes[2], codes[3], "left")  # predictions that start with the event or later
    counts = (np.bincount(video, weights=later[1] - later[0], minlength=len(case.videos))
              + np.bincount(other_video, weights=first[1] - first[0], minlength=len(case.videos)))
    if counts.max(initial=0) > MOST:
        worst = int(counts.argmax())
        raise UserError(f"video {case.videos[worst]}: {predicted.counts[worst]} predictions and "
                        f"{reference.counts[worst]} events overlap in {counts[worst]:.0f} pairs, more than {MOST}; "
                        "shorten the list of predictions")
    owner, place = expand(later[0], later[1] - later[0])
    other, other_place = expand(first[0], first[1] - first[0])
    pairs = np.concatenate([np.stack([said[owner], written[one[place]]]),
                            np.stack([said[two[other_place]], written[other]])], axis=1)
    prediction, event = pairs[:, np.lexsort(pairs[::-1])]
    return Overlaps(prediction, event, pair_iou(predicted.spans[prediction], reference.spans[event]))


def nearest_start(events: Events, author: Events) -> np.ndarray:
    """Seconds from each event's start (N,) to the nearest start of the other author in its video; inf where none."""
    if not len(author.video):
        return np.full(len(events.video), np.inf)
    own, other = joint_codes((events.video, events.spans[:, 0]), (author.video, author.spans[:, 0]))
    order = np.argsort(other, kind="stable")
    at = np.searchsorted(other[order], own)
    best = np.full(len(own), np.inf)
    for neighbour in (at - 1, at):
        inside = (neighbour >= 0) & (neighbour < len(order))
        candidate = order[np.clip(neighbour, 0, len(order) - 1)]
        apart = np.abs(events.spans[:, 0] - author.spans[candidate, 0])
        best = np.where(inside & (author.video[candidate] == events.video), np.minimum(best, apart), best)
    return best


def _starts_within(starts: np.ndarray, low: np.ndarray, high: np.ndarray,
                   side: str) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """For each range of codes (N,) which of ``starts`` lie in it, ``low`` itself by ``side``, ``high`` never.

    Returns the first and the end place of each, in the sorted order that is returned beside them.
    """
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    first = np.searchsorted(ordered, low, side)
    return (first, np.maximum(np.searchsorted(ordered, high, "left"), first)), order
