"""SODA of every video and annotator, with the toolkits' rules for several reference files.

    per-file    each file alone, scores averaged over files (PDVC, CM2, VidChapters, HiCM2)
    per-video   each file alone, averaged over the annotators of a video, then over videos: ours
    merged      all annotators' events of a video in one list (the SODA toolkit's default)
    multi       for each video and threshold the annotator with the largest F; events in file order
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hicm.dvc_eval.inputs.arrays import count_distinct, expand, rank_in_video
from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.metrics.overlaps import Overlaps
from hicm.dvc_eval.metrics.part import Aligned, Part, TextPairs, pair_blocks
from hicm.dvc_eval.metrics.soda import best_sums, chosen_pairs, triples
from hicm.dvc_eval.metrics.spans import pair_iou
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.texts import Texts
from hicm.errors import UserError
from hicm.evaluation.measures import Measure, divide

# (list of references, threshold) -> (K, 3): video, reference and predicted text of the pairs that are summed.
TracedPairs = Mapping[tuple[int, float], np.ndarray]
MOST_CELLS = 25_000_000  # of the matrix of types a and b: 5,000 events on both sides
PARTS = {"_p": 0, "_r": 1, "_f": 2, "": 2}


@dataclass(frozen=True)
class RankedOverlaps:
    """One list of references against the predictions: all pairs with IoU > 0, (K,) each, ordered by prediction.

    ``pairs``: predictions and events of the list, ``predicted_events`` (N) and ``events`` (M).  What follows from these
    is worked out when asked for, as there may be millions of pairs: `part` takes some of them.  ``rows`` (M,),
    ``columns`` (N,): ranks of events and predictions in their video; ``ids``: the texts of events (M,) and predictions
    (N,); ``counts`` (V,): events per video; ``takes_part`` (V,) bool.
    """

    pairs: Overlaps
    events: Events
    predicted_events: Events
    rows: np.ndarray
    columns: np.ndarray
    ids: tuple[np.ndarray, np.ndarray]
    takes_part: np.ndarray

    def part(self, chosen: slice) -> "RankedOverlaps":
        """The pairs in a slice."""
        pairs = Overlaps(self.pairs.prediction[chosen], self.pairs.event[chosen], self.pairs.iou[chosen])
        return replace(self, pairs=pairs)

    @property
    def counts(self) -> np.ndarray:
        """Events per video, (V,)."""
        return self.events.counts

    @property
    def video(self) -> np.ndarray:
        """The video of each pair, (K,) int32."""
        return self.predicted_events.video.astype(np.int32)[self.pairs.prediction]

    @property
    def row(self) -> np.ndarray:
        """The rank of the event in its video, (K,) int32."""
        return self.rows.astype(np.int32)[self.pairs.event]

    @property
    def column(self) -> np.ndarray:
        """The rank of the prediction in its video, (K,) int32."""
        return self.columns.astype(np.int32)[self.pairs.prediction]

    @property
    def texts(self) -> tuple[np.ndarray, np.ndarray]:
        """The texts of event and prediction, (K,) each."""
        return self.ids[0][self.pairs.event], self.ids[1][self.pairs.prediction]

    @property
    def overlap(self) -> np.ndarray:
        """IoU in SODA's order of operations, (K,)."""
        return pair_iou(self.events.spans[self.pairs.event], self.predicted_events.spans[self.pairs.prediction])

    @property
    def texts_by_rank(self) -> tuple[np.ndarray, np.ndarray]:
        """The texts of events (M,) and predictions (N,), ordered by video and rank."""
        return (self.ids[0][np.lexsort((self.rows, self.events.video))],
                self.ids[1][np.lexsort((self.columns, self.predicted_events.video))])


class SodaScores:
    """SODA of the wanted ``kinds``, letters a to d (`hicm.dvc_eval.metrics.part.Scorer`).

    ``texts`` may be None if only type d is wanted.
    """

    def __init__(self, case: Case, overlaps: Sequence[Overlaps], texts: Texts | None, rules: Protocol,
                 kinds: str) -> None:
        self.case, self.rules = case, rules
        self.tokens = texts.tokens if texts is not None else []
        self.kinds = [kind for kind in kinds if kind == "d" or texts is not None]
        self.lists = rank_overlaps(case, overlaps, texts, rules)
        self.traced = trace_pairs(case, self.lists, rules, self.kinds)
        pairs = np.concatenate([np.zeros((0, 2), dtype=np.int64), *(found[:, 1:] for found in self.traced.values())])
        self.codes, _ = count_distinct(self._codes(*pairs.T))
        # METEOR of the pairs that a and b sum over; of all that overlap for c, the entries of its matrices.
        self.each = np.empty(len(self.codes))
        self.values = [np.empty(len(one.pairs.iou)) for one in self.lists] if "c" in self.kinds else []
        self.added = 0

    def text_pairs(self, reference: np.ndarray, predicted: np.ndarray) -> TextPairs:
        """Pairs of captions for METEOR, by their texts; with swapped roles the reference is METEOR's hypothesis."""
        sides = (predicted, reference) if self.rules.soda_roles == "corrected" else (reference, predicted)
        return TextPairs(self.tokens, np.stack(sides, axis=1), self.rules.tok == "unicode")

    def meteor_size(self) -> int:
        """The number of pairs of captions, for type c of all that overlap."""
        return len(self.codes) + sum(map(len, self.values))

    def meteor_pairs(self) -> Iterator[TextPairs]:
        """The pairs that types a and b sum over, then those of type c, list after list."""
        for block in pair_blocks(self.meteor_size()):
            sides = [np.divmod(self.codes[self._within(-1, block)], max(len(self.tokens), 1))]
            sides += [one.part(self._within(place, block)).texts for place, one in enumerate(self.lists) if self.values]
            yield self.text_pairs(*(np.concatenate(side) for side in zip(*sides, strict=True)))

    def add_meteor(self, found: Aligned) -> None:
        """Scores for types a and b; for type c the entries of the matrices."""
        scores, done = found.scores(), 0
        block = slice(self.added, self.added + len(scores))
        for place, values in enumerate([self.each, *self.values], start=-1):
            own = self._within(place, block)
            values[own] = scores[done:done + own.stop - own.start]
            if place >= 0:
                values[own] *= self.lists[place].part(own).overlap
            done += own.stop - own.start
        self.added = block.stop

    def _within(self, place: int, block: slice) -> slice:
        """The part of a list's pairs, or of ``codes`` (-1), that is in a block of all."""
        sizes = [len(self.each), *map(len, self.values)]
        first = sum(sizes[:place + 1])
        return slice(*(min(max(at - first, 0), sizes[place + 1]) for at in (block.start, block.stop)))

    def fill(self, part: Part) -> None:
        """Type d."""
        if "d" in self.kinds:
            part.soda["d"] = self._triples("d", lambda place, _: self._sums(place, overlap_of(self.lists[place])))

    def fill_meteor(self, part: Part, meteor: Meteor) -> None:
        """Types a, b and c."""
        for kind in self.kinds:
            if kind == "c":
                part.soda["c"] = self._triples("c", lambda place, _: self._sums(place, self.values[place]))
            elif kind in "ab":
                part.soda[kind] = self._triples(kind, self._traced_sums)

    def _sums(self, place: int, values: np.ndarray) -> np.ndarray:
        """The largest sums of the entries ``values`` of a list's matrices, (V,)."""
        one = self.lists[place]
        return best_sums(one.video, one.row, one.column, values, len(self.case.videos))

    def _traced_sums(self, place: int, tiou: float) -> np.ndarray:
        video, reference, predicted = self.traced[place, tiou].T
        scores = self.each[np.searchsorted(self.codes, self._codes(reference, predicted))]
        return np.bincount(video, weights=scores, minlength=len(self.case.videos))

    def _triples(self, kind: str, sums_of: Callable[[int, float], np.ndarray]) -> np.ndarray:
        """Precision, recall and F of every video and list of references, (V, lists, 3); NaN where it takes no part.

        ``sums_of``: the sums (V,) of a list at a threshold.  All predictions count, without a cap.
        """
        tious = thresholds_of(kind, self.rules)
        found = np.full((len(self.case.videos), len(self.lists), len(tious), 3), np.nan)
        for place, one in enumerate(self.lists):
            for column, tiou in enumerate(tious):
                each = triples(sums_of(place, tiou), self.case.predicted.counts, one.counts)
                found[one.takes_part, place, column] = each[one.takes_part]
        return _over_lists(found, self.rules)

    def _codes(self, reference: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """One number per pair of texts."""
        return reference * len(self.tokens) + predicted


def overlap_of(one: RankedOverlaps) -> np.ndarray:
    """`RankedOverlaps.overlap`, worked out in blocks."""
    found = np.empty(len(one.pairs.iou))
    for block in pair_blocks(len(found)):
        found[block] = one.part(block).overlap
    return found


def rank_overlaps(case: Case, overlaps: Sequence[Overlaps], texts: Texts | None,
                  rules: Protocol) -> list[RankedOverlaps]:
    """One list per annotator, or a single one if annotators are merged."""
    if texts is None:
        texts = Texts([], np.zeros(len(case.predicted.video), dtype=np.int64),
                      [np.zeros(len(events.video), dtype=np.int64) for events in case.annotators])
    predicted = case.predicted
    present = np.ones_like(predicted.present) if rules.soda_missing == "zero" else predicted.present
    if rules.soda_empty == "skip":
        present = present & ~(predicted.present & (predicted.counts == 0))
    lists = list(zip(case.annotators, overlaps, texts.references, strict=True))
    if rules.soda_files == "merged" and len(lists) > 1:
        lists = [_merge(lists)]
    column_of = rank_in_video(predicted.video, predicted.spans[:, 0])
    found = []
    for events, pairs, ids in lists:
        by = events.place if rules.soda_files == "multi" else events.spans[:, 0]
        row_of = rank_in_video(events.video, by)
        found.append(RankedOverlaps(pairs, events, predicted, row_of, column_of, (ids, texts.predicted),
                                    events.present & present))
    return found


def _over_lists(found: np.ndarray, rules: Protocol) -> np.ndarray:
    """(V, lists, 3) of (V, lists, T, 3): the mean over thresholds, after the protocol's rule for several lists."""
    if rules.soda_files == "multi":
        found = _best_annotator(found)
    found = found.mean(axis=2)
    if rules.soda_files == "per-video":
        number = (~np.isnan(found[..., :1])).sum(axis=1)
        found = np.where(number > 0, divide(np.nansum(found, axis=1), number), np.nan)[:, None]
    return found


def thresholds_of(kind: str, rules: Protocol) -> tuple[float, ...]:
    """The IoUs below which entries of a type's matrix are 0; there is one score for each."""
    return rules.tious if kind == "a" else (0.0,)


def trace_pairs(case: Case, lists: Sequence[RankedOverlaps], rules: Protocol, kinds: Sequence[str]) -> TracedPairs:
    """The pairs that types a and b, if among ``kinds``, sum over."""
    thresholds = sorted({tiou for kind in kinds if kind in "ab" for tiou in thresholds_of(kind, rules)})
    return {(place, tiou): _trace(case, one, tiou, rules.soda_traceback)
            for place, one in enumerate(lists) for tiou in thresholds}


def soda_measure(name: str, found: np.ndarray, rules: Protocol) -> Measure:
    """The measure of a score from the (V, lists, 3) of `soda_triples`.

    Averages over the videos of each list, then over lists with any.  ``soda_d`` may be the mean of P, R and F.
    """
    part = None if name == "soda_d" and rules.soda_d == "mean-of-prf" else PARTS[name[6:]]
    lists = found.shape[1]
    takes_part = ~np.isnan(found[..., :1])
    rows = np.concatenate([np.where(takes_part, found, 0.0), takes_part], axis=2).reshape(len(found), -1)
    return Measure(name, rows, partial(mean_of_lists, lists=lists, part=part))


def mean_of_lists(sums: np.ndarray, lists: int, part: int | None) -> np.ndarray:
    """The mean over lists of one part (0: P, 1: R, 2: F, None: the mean of all three).

    ``sums`` (..., 4 lists): for each list precision, recall, F, and the number of videos.
    """
    by_list = sums.reshape(*sums.shape[:-1], lists, 4)
    means = divide(by_list[..., :3], by_list[..., 3:])
    value = means.mean(axis=-1) if part is None else means[..., part]
    return divide(value.sum(axis=-1), (by_list[..., 3] > 0).sum(axis=-1))


def _trace(case: Case, one: RankedOverlaps, tiou: float, traceback: str) -> np.ndarray:
    """The chosen pairs of all videos: (K, 3) video, reference and predicted text."""
    counts = case.predicted.counts
    first_row, first_column = (np.cumsum(side) - side for side in (one.counts, counts))
    ends = np.searchsorted(one.video, np.arange(len(counts) + 1))
    found = []
    for at in np.flatnonzero(one.takes_part & (counts > 0) & (one.counts > 0)).tolist():
        shape = int(one.counts[at]), int(counts[at])
        if shape[0] * shape[1] > MOST_CELLS:
            raise UserError(f"video {case.videos[at]}: SODA a and b compare {shape[0]} events with {shape[1]} "
                            f"predictions, more than {MOST_CELLS} pairs; leave soda_a and soda_b out of the metrics")
        matrix, own = np.zeros(shape), one.part(slice(ends[at], ends[at + 1]))
        overlap = own.overlap
        matrix[own.row, own.column] = np.where(overlap < tiou, 0.0, overlap)
        found += [(at, first_row[at] + i, first_column[at] + j) for i, j in chosen_pairs(matrix, traceback)]
    video, row, column = np.array(found, dtype=np.int64).reshape(-1, 3).T
    reference, predicted = one.texts_by_rank
    return np.stack([video, reference[row], predicted[column]], axis=1)


def _best_annotator(found: np.ndarray) -> np.ndarray:
    """For each video and threshold the annotator with the largest F, on a tie the first: (V, 1, T, 3)."""
    best = np.where(np.isnan(found[..., 2]), -1.0, found[..., 2]).argmax(axis=1)
    return np.take_along_axis(found, best[:, None, :, None], axis=1)


def _merge(lists: Sequence[tuple[Events, Overlaps, np.ndarray]]) -> tuple[Events, Overlaps, np.ndarray]:
    """All annotators' events as those of one file; within a video, one annotator's after the other's."""
    sizes = [len(events.video) for events, _, _ in lists]
    video = np.concatenate([events.video for events, _, _ in lists])
    order = np.argsort(video, kind="stable")
    new_place = np.empty(len(video), dtype=np.int64)
    new_place[order] = np.arange(len(video))
    counts = np.sum([events.counts for events, _, _ in lists], axis=0)
    merged = Events(
        video[order], expand(np.zeros(len(counts), dtype=np.int64), counts)[1],
        np.concatenate([events.spans for events, _, _ in lists])[order], (), counts,
        np.any([events.present for events, _, _ in lists], axis=0))
    event = np.concatenate([pairs.event + before for (_, pairs, _), before in
                            zip(lists, np.cumsum([0, *sizes[:-1]]), strict=True)])
    prediction = np.concatenate([pairs.prediction for _, pairs, _ in lists])
    overlap = np.concatenate([pairs.iou for _, pairs, _ in lists])
    by_video = np.lexsort((new_place[event], prediction))
    return (merged, Overlaps(prediction[by_video], new_place[event][by_video], overlap[by_video]),
            np.concatenate([ids for _, _, ids in lists])[order])
