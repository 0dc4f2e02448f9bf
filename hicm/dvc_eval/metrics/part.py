"""Statistics of some videos under one protocol, and the interface of the scorers that fill them in.

A data set is scored in parts, one after the other or in parallel, so the memory needed does not grow with its size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol as Interface

import numpy as np

from hicm.dvc_eval.inputs.arrays import find_distinct, slices
from hicm.dvc_eval.words.meteor import Meteor, total
from hicm.dvc_eval.words.meteor15.score import STATISTICS
from hicm.dvc_eval.words.texts import number_texts

PAIRS = 1 << 16  # pairs that METEOR compares in one call: bounds the memory
CALLS = 4  # as many times these are shared by all scorers, and kept until all have used them

Columns = dict[str, tuple[np.ndarray, np.ndarray]]  # metric -> values and counts, each (V, thresholds)


@dataclass(frozen=True)
class EventPairs:
    """Every compared pair of a prediction and an event: indices in the lists of their files, (P,) each, and scores.

    ``annotator`` and ``event`` are -1 for a prediction that matches no event at some thresholds.  A pair counts at the
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
        """The same pairs with video v renumbered as ``place[v]``."""
        return replace(self, video=place[self.video])


@dataclass(frozen=True)
class Corpus:
    """S texts whose CIDEr is counted over the whole data set: their video (S,), predictions and references.

    ``references``: A lists of S texts, None where an annotator has none; ``name`` and ``column``: where the scores go.
    ``scores`` (S,): of each text, where the whole data set was there to count them.
    """

    name: str
    column: int
    video: np.ndarray
    hypotheses: Sequence[str]
    references: Sequence[Sequence[str | None]]
    scores: np.ndarray | None = None


@dataclass
class Part:
    """Statistics of V videos.

    ``columns``: {metric: values and counts, each (V, thresholds)}, whose quotient is the score; ``soda``: {type: (V,
    lists, 3)}; ``rows``: {corpus metric: (V, K)}; ``pairs``: None if captions are not compared event by event.
    """

    columns: Columns = field(default_factory=dict)
    soda: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    corpora: list[Corpus] = field(default_factory=list)
    pairs: EventPairs | None = None


@dataclass(frozen=True)
class TextPairs:
    """Q pairs of texts, (Q, 2) indices into ``texts``: hypothesis and reference of METEOR.

    ``words``: the texts are words already, which METEOR takes as they are.
    """

    texts: Sequence[str]
    pairs: np.ndarray
    words: bool = False


def pair_blocks(count: int) -> list[slice]:
    """Slices of the pairs that a scorer asks METEOR for at a time."""
    return slices(count, CALLS * PAIRS)


@dataclass(frozen=True)
class Aligned:
    """METEOR of a scorer's Q pairs: row ``rows[q]`` of ``statistics`` (D, 23), which all scorers share."""

    statistics: np.ndarray
    rows: np.ndarray
    meteor: Meteor

    def total(self, owner: np.ndarray, sets: int, pairs: np.ndarray | None = None) -> np.ndarray:
        """Sums (sets, 23) over all pairs, or over chosen ``pairs`` (P,), by the set ``owner`` of each."""
        return total(self.statistics, owner, sets, self.rows if pairs is None else self.rows[pairs])

    def scores(self) -> np.ndarray:
        """The score of each pair alone, (Q,)."""
        return np.concatenate([np.zeros(0), *(self.meteor.score(self.statistics[self.rows[block]])
                                              for block in slices(len(self.rows), PAIRS))])


def align(wanted: Sequence[TextPairs], meteor: Meteor) -> list[Aligned]:
    """METEOR of all scorers' pairs; each distinct pair is computed once, PAIRS at a time."""
    found: dict[int, Aligned] = {}
    for words in {one.words for one in wanted}:
        places = [at for at, one in enumerate(wanted) if one.words == words]
        texts, numbers = number_texts([wanted[at].texts for at in places])
        size = max(len(texts), 1)
        codes = [number[wanted[at].pairs] @ [size, 1] for at, number in zip(places, numbers, strict=True)]
        distinct, rows = find_distinct(np.concatenate(codes))
        statistics = np.empty((len(distinct), STATISTICS))
        for block in slices(len(distinct), PAIRS):
            pairs = [(texts[code // size], texts[code % size]) for code in distinct[block].tolist()]
            statistics[block] = meteor.statistics(pairs, **({"words": True} if words else {}))
        ends = np.cumsum([len(one) for one in codes])[:-1]
        found |= {at: Aligned(statistics, own, meteor) for at, own in zip(places, np.split(rows, ends), strict=True)}
    return [found[at] for at in range(len(wanted))]


class Scorer(Interface):
    """A family of metrics on one part."""

    def fill(self, part: Part) -> None:
        """Add everything that does not need METEOR."""
        ...

    def meteor_size(self) -> int:
        """How many pairs of texts it needs METEOR of."""
        ...

    def meteor_pairs(self) -> Iterator[TextPairs]:
        """These pairs, in blocks."""
        ...

    def add_meteor(self, found: Aligned) -> None:
        """Take METEOR of one block, in their order."""
        ...

    def fill_meteor(self, part: Part, meteor: Meteor) -> None:
        """Add the rest, after all blocks; called after `fill`."""
        ...


def compare(scorers: Sequence[Scorer], meteor: Meteor, compared: Callable[[int], object]) -> None:
    """METEOR of all scorers' pairs, a block of each at a time; ``compared`` is told the number of pairs of each."""
    asked = [scorer.meteor_pairs() for scorer in scorers]
    while True:
        wanted = {at: block for at, blocks in enumerate(asked) if (block := next(blocks, None)) is not None}
        if not wanted:
            return
        for at, found in zip(wanted, align(list(wanted.values()), meteor), strict=True):
            scorers[at].add_meteor(found)
            compared(len(wanted[at].pairs))


def join_parts(parts: Sequence[Part], videos: Sequence[int]) -> Part:
    """The statistics of all parts, in order; ``videos``: the number of videos in each."""
    if len(parts) == 1:
        return parts[0]
    first = np.cumsum([0, *videos])
    whole = Part(
        columns={name: (np.concatenate([part.columns[name][0] for part in parts]),
                        np.concatenate([part.columns[name][1] for part in parts])) for name in parts[0].columns},
        soda={kind: np.concatenate([part.soda[kind] for part in parts]) for kind in parts[0].soda},
        rows={name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows},
        corpora=[_join_corpora([part.corpora[at] for part in parts], first) for at in range(len(parts[0].corpora))])
    pairs = [part.pairs for part in parts if part.pairs is not None]
    if pairs:
        whole.pairs = _join_pairs(pairs, first)
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
