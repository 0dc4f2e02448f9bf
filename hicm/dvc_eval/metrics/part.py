"""Some videos scored under one protocol: scorers say what they ask METEOR, then fill in statistics.

A data set is scored in parts, one after the other or side by side, so the working memory does not grow with its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol as Interface

import numpy as np

from hicm.dvc_eval.words.meteor import Meteor


@dataclass(frozen=True)
class EventPairs:
    """Every compared pair of a prediction and an event, (P,) each: places in the lists of their files, and scores.

    ``annotator`` and ``event`` are -1 for a prediction that meets no event at some thresholds.  A pair counts at the
    thresholds ``low < t <= iou``.  ``scores``: {metric: (P,)} of the pair alone.
    """

    video: np.ndarray
    prediction: np.ndarray
    annotator: np.ndarray
    event: np.ndarray
    low: np.ndarray
    iou: np.ndarray
    scores: dict[str, np.ndarray]

    def renumber(self, place: np.ndarray) -> "EventPairs":
        """The same pairs under other numbers of their videos, ``place`` (V,)."""
        return replace(self, video=place[self.video])


@dataclass(frozen=True)
class Corpus:
    """Segments whose CIDEr is counted over the whole data set: their video (S,), predicted and reference texts.

    ``references``: A lists of S texts, None where an annotator has none; ``name`` and ``column``: what the score is.
    """

    name: str
    column: int
    video: np.ndarray
    hypotheses: list[str]
    references: list[list[str | None]]


@dataclass
class Part:
    """Statistics of V videos.

    ``columns``: {metric: values and counts, each (V, thresholds)}, a score is their quotient; ``soda``: {type: (V,
    lists, 3)}; ``rows``: {corpus metric: (V, K)}; ``pairs``: None where captions are not compared event by event.
    """

    columns: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    soda: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    corpora: list[Corpus] = field(default_factory=list)
    pairs: EventPairs | None = None


class Scorer(Interface):
    """A family of metrics on one part."""

    def asks(self) -> list[tuple[str, str]]:
        """Pairs of texts (METEOR's hypothesis, its reference) whose statistics it needs."""
        ...

    def fill(self, part: Part) -> None:
        """Add everything that needs no METEOR."""
        ...

    def fill_meteor(self, part: Part, statistics: np.ndarray, meteor: Meteor) -> None:
        """Add the rest, from the statistics (Q, 23) of what was asked; called after `fill`."""
        ...


def join_parts(parts: Sequence[Part], videos: Sequence[int]) -> Part:
    """The statistics of all parts, in order; ``videos``: how many each has."""
    first = np.cumsum([0, *videos])
    whole = Part(
        columns={name: tuple(np.concatenate([part.columns[name][side] for part in parts]) for side in (0, 1))
                 for name in parts[0].columns},
        soda={kind: np.concatenate([part.soda[kind] for part in parts]) for kind in parts[0].soda},
        rows={name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows},
        corpora=[_join_corpora([part.corpora[at] for part in parts], first) for at in range(len(parts[0].corpora))])
    if parts[0].pairs is not None:
        whole.pairs = _join_pairs([part.pairs for part in parts], first)
    return whole


def _join_corpora(parts: Sequence[Corpus], first: np.ndarray) -> Corpus:
    return Corpus(
        parts[0].name, parts[0].column,
        np.concatenate([part.video + before for part, before in zip(parts, first, strict=False)]),
        [text for part in parts for text in part.hypotheses],
        [[text for part in parts for text in part.references[annotator]]
         for annotator in range(len(parts[0].references))])


def _join_pairs(parts: Sequence[EventPairs], first: np.ndarray) -> EventPairs:
    columns = {name: np.concatenate([getattr(part, name) for part in parts])
               for name in ("prediction", "annotator", "event", "low", "iou")}
    video = np.concatenate([part.video + before for part, before in zip(parts, first, strict=False)])
    return EventPairs(video=video, **columns, scores={
        name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores})
