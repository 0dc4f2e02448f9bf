"""Queries with their true moments, and what a system predicts for a query.  All times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Query:
    """One annotated sentence.

    ``id``: what submissions call it; ``video``: "" where the file does not say; ``duration`` of the video in seconds
    (None: not known).  ``windows`` (n, 2) float64: its true moments, start and end; empty where the file has no labels.
    ``clips`` (k,) int64 and ``ratings`` (k, annotators) float64: which clips are relevant, and how annotators rate
    them; None where the data set has no ratings.
    """

    id: str
    text: str
    video: str
    duration: float | None
    windows: np.ndarray
    clips: np.ndarray | None = None
    ratings: np.ndarray | None = None


@dataclass(frozen=True)
class Annotations:
    """The queries of a split in the order of the file.

    ``format``: the name of the file's format; ``counts``: what the cleaning rules did, e.g. ``{"rows skipped": 3}``.
    """

    queries: tuple[Query, ...]
    format: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a system predicts for one query.

    ``windows`` (p, 3) float64: start, end and score, in the order of the file; None where the file has none, as in
    submissions of highlights alone.  ``saliency`` (clips,) float64: one score per clip; None where the file has none.
    ``video``: which one the file says the query is about, "" where it does not say.
    """

    windows: np.ndarray | None
    saliency: np.ndarray | None = None
    video: str = ""


@dataclass(frozen=True, eq=False)
class Found:
    """What a system found for one query of a video.

    ``windows`` (p, 3) float64: start, end and score, the likeliest first.  ``saliency`` (clips,) float64: how well each
    clip of 2 s fits the query; None where it was not asked for.
    """

    query: str  # the query's id
    text: str
    windows: np.ndarray
    saliency: np.ndarray | None = None


@dataclass(frozen=True)
class Submission:
    """Predictions by query id, in the order of the file.

    ``format``: the name of the file's format; ``run``: the id of the run that made it (None: not given).
    """

    predictions: Mapping[str, Prediction]
    format: str
    run: str | None = None
