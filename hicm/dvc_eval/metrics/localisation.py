"""Precision and recall of event spans, captions ignored: by temporal IoU and by seconds between starts.

A prediction is a hit if it matches at least one event, an event if at least one prediction matches it.  Nothing is
matched one to one, so repeating a correct event neither helps nor hurts.
"""

from collections.abc import Sequence

import numpy as np

from hicm.dvc_eval.inputs.arrays import largest, sums_by
from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.metrics.overlaps import Overlaps, nearest_start
from hicm.evaluation.measures import divide


def precision_recall(case: Case, overlaps: Sequence[Overlaps], tious: tuple[float, ...],
                     distances: tuple[float, ...], cap: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of each video, each (V, len(tious) + len(distances)).

    ``overlaps``: one per annotator; only the first ``cap`` predictions of a video count.  A pair matches if its IoU is
    above a threshold, or if its starts differ by less than a distance (seconds).  With several annotators each number
    is the best over them, precision and recall separately.  A video without predictions has 0.
    """
    predicted = case.predicted
    counted = predicted.place < cap
    early = predicted.where(counted)
    best = np.zeros((2, len(case.videos), len(tious) + len(distances)))
    for events, pairs in zip(case.annotators, overlaps, strict=True):
        kept = slice(None) if counted.all() else counted[pairs.prediction]
        iou = pairs.iou[kept]
        predicted_best = largest(iou, pairs.prediction[kept], len(predicted.video))[counted]
        event_best = largest(iou, pairs.event[kept], len(events.video))
        both = [(early, predicted_best[:, None] > np.array(tious)), (events, event_best[:, None] > np.array(tious))]
        if distances:
            near = [nearest_start(early, events), nearest_start(events, early)]
            both = [(side, np.concatenate([hits, apart[:, None] < np.array(distances)], axis=1))
                    for (side, hits), apart in zip(both, near, strict=True)]
        precision, recall = (_share(side, hits, len(case.videos)) for side, hits in both)
        # If this annotator left the video out, nothing matches.
        best = np.maximum(best, [precision, recall])
    return best[0], best[1]


def _share(events: Events, hits: np.ndarray, videos: int) -> np.ndarray:
    """Share of each video's events that hit, (V, columns) of ``hits`` (N, columns)."""
    return divide(sums_by(hits, events.video, videos), np.bincount(events.video, minlength=videos)[:, None])
