"""What is odd about annotations and predictions, told before they are scored."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hicm.errors import UserError
from hicm.evaluation.spans import odd_spans
from hicm.moments.records import Annotations, Submission

MOST_WINDOWS = 10_000  # true windows of a query: arrays have room for as many in every query
UNITS = 20  # if the last true window ends this many times later than any predicted one, the unit is probably wrong
_ENDING = re.compile(r"\.(avi|flv|m4v|mkv|mov|mp4|mpe?g|npy|npz|webm|wmv)$", re.IGNORECASE)


class Spans(NamedTuple):
    """Windows of all queries: ``times`` (N, 2), and the ``duration`` (N,) of their videos, inf where not known."""

    times: np.ndarray
    duration: np.ndarray


def input_warnings(annotations: Annotations, submission: Submission) -> list[str]:
    """Warnings about videos, and about windows that the formula gives no overlap, or that lie outside the video.

    Raises UserError for a query without a true window, or with more than MOST_WINDOWS.
    """
    for query in annotations.queries:
        if len(query.windows) > MOST_WINDOWS:
            raise UserError(f"annotations: query {query.id}: {len(query.windows)} true windows, more than "
                            f"{MOST_WINDOWS}; is it the right file?")
        if not len(query.windows) and not any(len(one.windows) for one in annotations.queries):
            raise UserError("annotations: no query has a true window; a test split without labels cannot be scored: "
                            "name the file with labels, or send the predictions to the server of the data set")
        if not len(query.windows):
            raise UserError(f"annotations: query {query.id}: no true window; add one, or leave the query out")
    durations = {query.id: np.inf if query.duration is None else query.duration for query in annotations.queries}
    predicted = _joined([(durations[name], one.windows[:, :2]) for name, one in submission.predictions.items()
                         if name in durations and one.windows is not None])
    true = _joined([(durations[query.id], query.windows) for query in annotations.queries])
    return [*video_warnings(annotations, submission), *odd_spans("predictions", *predicted, "windows"),
            *odd_spans("annotations", *true, "windows"), *unit_warnings(predicted, true)]


def _joined(lists: Sequence[tuple[float, np.ndarray]]) -> Spans:
    """The windows (n, 2) of each query with the duration of its video, as one."""
    durations = np.array([seconds for seconds, _ in lists])
    return Spans(np.concatenate([np.zeros((0, 2)), *(windows for _, windows in lists)]),
                 np.repeat(durations, [len(windows) for _, windows in lists]))


def unit_warnings(predicted: Spans, true: Spans) -> list[str]:
    """A warning if predicted times are probably no seconds: all far too early, or most beyond the end of the video."""
    if not len(predicted.times) or not len(true.times):
        return []
    latest, expected = predicted.times[:, 1].max(), true.times[:, 1].max()
    if 0 < latest < expected / UNITS:
        return [f"predictions: no window ends after {latest:g} s, but true ones end as late as {expected:g} s; are "
                "times minutes, or shares of the video? Seconds are expected"]
    if (predicted.times.mean(axis=1) > predicted.duration).mean() > 0.5:
        return ["predictions: most windows lie beyond the end of their video; are times frames, or milliseconds? "
                "Seconds are expected"]
    return []


def video_warnings(annotations: Annotations, submission: Submission) -> list[str]:
    """A warning about queries whose prediction names another video than the annotation does.

    Raises UserError if that is the video of another query: then ids are mixed up, and scores would mean nothing.
    """
    videos = {query.id: query.video for query in annotations.queries}
    other = [(name, one.video, videos[name]) for name, one in submission.predictions.items()
             if one.video and videos.get(name, one.video) not in ("", one.video)
             and _bare(one.video) != _bare(videos[name])]
    known = {_bare(video) for video in videos.values()} if other else set()
    for name, predicted, annotated in other:
        if _bare(predicted) in known:
            raise UserError(f"predictions: query {name} is predicted for video {predicted}, but annotated for video "
                            f"{annotated}; are both files of the same split, with the same ids? To score them all the "
                            "same, leave the videos out of the predictions")
    if not other:
        return []
    name, predicted, annotated = other[0]
    return [f"predictions: {len(other)} queries name a video that is not annotated (first: query {name}, predicted for "
            f"{predicted}, annotated for {annotated}); are the ids those of this file?"]


def _bare(video: str) -> str:
    """The name of a video without folders and the ending of its file."""
    return _ENDING.sub("", video.replace("\\", "/").rpartition("/")[2])
