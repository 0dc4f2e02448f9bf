"""Which predictions and events of a video overlap, and which starts are nearest, for all videos at once.

Takes the time of sorting plus the number of pairs found, so a video may have a hundred thousand events.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hicm.dvc_eval.inputs.arrays import blocks_of, expand, joint_codes, slices
from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.metrics.spans import pair_iou
from hicm.errors import UserError

BLOCK = 1 << 20  # pairs at a time: bounds the memory
MOST = 10_000_000  # overlapping pairs in one video: 3,000 events on both sides that all overlap


@dataclass(frozen=True)
class Overlaps:
    """Pairs (K,) with IoU > 0: int32 indices into the events of predictions and of one annotator, and the IoU."""

    prediction: np.ndarray
    event: np.ndarray
    iou: np.ndarray


def find_overlaps(case: Case, reference: Events) -> Overlaps:
    """All overlapping pairs with one annotator, ordered by video, prediction and event.

    Two spans overlap if one starts within the other.  Spans of zero length overlap nothing.  Raises UserError for a
    video with more than MOST overlapping pairs.
    """
    predicted = case.predicted
    # Only spans of positive length; ``own`` and ``others`` are their indices.
    own = np.flatnonzero(predicted.spans[:, 0] < predicted.spans[:, 1])
    others = np.flatnonzero(reference.spans[:, 0] < reference.spans[:, 1])
    (start, end), (other_start, other_end) = predicted.spans[own].T, reference.spans[others].T
    video, other_video = predicted.video[own], reference.video[others]
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
    size = max(len(reference.video), 1)
    pairs = np.empty(int(counts.sum()), dtype=np.int64)  # prediction and event of each pair, as one number
    done = 0
    for ranges, code in ((later, lambda owner, place: own[owner] * size + others[one[place]]),
                         (first, lambda owner, place: own[two[place]] * size + others[owner])):
        for block in blocks_of(ranges[1] - ranges[0], BLOCK):
            owner, place = expand(ranges[0][block], ranges[1][block] - ranges[0][block])
            pairs[done:done + len(owner)] = code(owner + block.start, place)
            done += len(owner)
    pairs.sort()
    found = Overlaps(np.empty(done, dtype=np.int32), np.empty(done, dtype=np.int32), np.empty(done))
    for block in slices(done, BLOCK):
        found.prediction[block], found.event[block] = np.divmod(pairs[block], size)
        found.iou[block] = pair_iou(predicted.spans[found.prediction[block]], reference.spans[found.event[block]])
    return found


def nearest_start(events: Events, others: Events) -> np.ndarray:
    """Seconds (N,) from each event's start to the nearest start among ``others`` in its video; inf if there is none."""
    if not len(others.video):
        return np.full(len(events.video), np.inf)
    own, other = joint_codes((events.video, events.spans[:, 0]), (others.video, others.spans[:, 0]))
    order = np.argsort(other, kind="stable")
    at = np.searchsorted(other[order], own)
    best = np.full(len(own), np.inf)
    for neighbour in (at - 1, at):
        inside = (neighbour >= 0) & (neighbour < len(order))
        candidate = order[np.clip(neighbour, 0, len(order) - 1)]
        apart = np.abs(events.spans[:, 0] - others.spans[candidate, 0])
        best = np.where(inside & (others.video[candidate] == events.video), np.minimum(best, apart), best)
    return best


def _starts_within(starts: np.ndarray, low: np.ndarray, high: np.ndarray,
                   side: Literal["left", "right"]) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Which ``starts`` lie in each range of codes (N,): without ``high``, and with ``low`` if ``side`` is "left".

    Returns first and end of each range as positions in sorted order, and that order.
    """
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    first = np.searchsorted(ordered, low, side)
    return (first, np.maximum(np.searchsorted(ordered, high, "left"), first)), order
