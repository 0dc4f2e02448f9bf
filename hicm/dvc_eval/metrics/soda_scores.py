"""SODA of every video and annotator, by the toolkits' rules for several reference files.

    per-file    each file alone, its scores averaged over files (PDVC, CM2, VidChapters, HiCM2)
    per-video   each file alone, averaged over the annotators of a video, then over videos: ours
    merged      all annotators' events of a video in one list (the SODA toolkit's default)
    multi       of each video, and threshold, the annotator with the largest F; events in file order
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hicm.dvc_eval.inputs.arrays import count_distinct, expand, rank_in_video
from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.metrics.measures import Measure, divide
from hicm.dvc_eval.metrics.overlaps import Overlaps
from hicm.dvc_eval.metrics.part import Part
from hicm.dvc_eval.metrics.soda import best_sums, chosen_pairs, triples
from hicm.dvc_eval.metrics.spans import pair_iou
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.texts import Texts
from hicm.errors import UserError

# METEOR of (reference text, predicted text) index pairs (K,), (K,) -> (K,).
PairScores = Callable[[np.ndarray, np.ndarray], np.ndarray]
MOST_CELLS = 25_000_000  # of the matrix of types a and b: 5,000 events on both sides
PARTS = {"_p": 0, "_r": 1, "_f": 2, "": 2}


@dataclass(frozen=True)
class Story:
    """One list of references against the predictions: entries with IoU > 0, (K,) each, ordered by video.

    ``row``, ``column``: rank of event and prediction in their video; ``written``, ``said``: their texts; ``overlap``:
    IoU in SODA's order of operations; ``counts`` (V,) events; ``takes_part`` (V,) bool.  ``texts_by_rank`` holds the
    texts (M,) and (N,) of events and predictions by video and rank.
    """

    video: np.ndarray
    row: np.ndarray
    column: np.ndarray
    written: np.ndarray
    said: np.ndarray
    overlap: np.ndarray
    counts: np.ndarray
    takes_part: np.ndarray
    texts_by_rank: tuple[np.ndarray, np.ndarray]


class SodaScores:
    """SODA of the wanted ``kinds``, letters a to d (`hicm.dvc_eval.metrics.part.Scorer`).

    ``texts`` may be None for type d alone.
    """

    def __init__(self, case: Case, overlaps: Sequence[Overlaps], texts: Texts | None, rules: Protocol,
                 kinds: str) -> None:
        self.case, self.rules, self.texts = case, rules, texts
        self.kinds = [kind for kind in kinds if kind == "d" or texts is not None]
        self.stories = make_stories(case, overlaps, texts, rules)
        self.walks = walk_stories(case, self.stories, rules, self.kinds)
        asked = [walk[:, 1:] for walk in self.walks.values()]
        asked += [np.stack([story.written, story.said], axis=1) for story in self.stories if "c" in self.kinds]
        asked = np.concatenate([np.zeros((0, 2), dtype=np.int64), *asked])
        self.size = len(texts.tokens) if texts is not None else 1
        self.codes, _ = count_distinct(asked[:, 0] * self.size + asked[:, 1])

    def asks(self) -> list[tuple[str, str]]:
        """Pairs of captions; with swapped roles the reference is METEOR's hypothesis."""
        pairs = [divmod(code, self.size) for code in self.codes.tolist()]
        if self.rules.soda_roles == "corrected":
            pairs = [pair[::-1] for pair in pairs]
        return [(self.texts.tokens[one], self.texts.tokens[two]) for one, two in pairs]

    def fill(self, part: Part) -> None:
        """Type d."""
        if "d" in self.kinds:
            part.soda["d"] = soda_triples(self.case, self.stories, "d", self.rules)

    def fill_meteor(self, part: Part, statistics: np.ndarray, meteor: Meteor) -> None:
        """Types a, b and c."""
        look_up = self.pair_scores(meteor.score(statistics))
        for kind in self.kinds:
            if kind != "d":
                part.soda[kind] = soda_triples(self.case, self.stories, kind, self.rules, look_up, self.walks)

    def pair_scores(self, each: np.ndarray) -> PairScores:
        """``each`` score of the pairs asked for, to be looked up by their texts."""
        return lambda written, said: each[np.searchsorted(self.codes, written * self.size + said)]


def make_stories(case: Case, overlaps: Sequence[Overlaps], texts: Texts | None,
                 rules: Protocol) -> list[Story]:
    """One story an annotator, or one in all where annotators are merged."""
    if texts is None:
        texts = Texts([], np.zeros(len(case.predicted.video), dtype=np.int64),
                      [np.zeros(len(events.video), dtype=np.int64) for events in case.annotators])
    said = case.predicted
    present = np.ones_like(said.present) if rules.soda_missing == "zero" else said.present
    if rules.soda_empty == "skip":
        present = present & ~(said.present & (said.counts == 0))
    lists = list(zip(case.annotators, overlaps, texts.references, strict=True))
    if rules.soda_files == "merged" and len(lists) > 1:
        lists = [_merge(lists)]
    column_of = rank_in_video(said.video, said.spans[:, 0])
    stories = []
    for events, pairs, ids in lists:
        by = events.place if rules.soda_files == "multi" else events.spans[:, 0]
        row_of = rank_in_video(events.video, by)
        stories.append(Story(
            said.video[pairs.prediction], row_of[pairs.event], column_of[pairs.prediction], ids[pairs.event],
            texts.predicted[pairs.prediction], pair_iou(events.spans[pairs.event], said.spans[pairs.prediction]),
            events.counts, events.present & present,
            (ids[np.lexsort((row_of, events.video))], texts.predicted[np.lexsort((column_of, said.video))])))
    return stories


def soda_triples(case: Case, stories: Sequence[Story], kind: str, rules: Protocol, meteor: PairScores | None = None,
                 walks: Mapping[tuple[int, float], np.ndarray] | None = None) -> np.ndarray:
    """Precision, recall and F of every video and list of references, (V, lists, 3); NaN where it takes no part.

    ``kind`` a, b, c or d; ``meteor`` is not needed for d, ``walks`` for c and d.  All predictions count, without a cap.
    """
    tious = thresholds_of(kind, rules)
    found = np.full((len(case.videos), len(stories), len(tious), 3), np.nan)
    for place, story in enumerate(stories):
        for column, tiou in enumerate(tious):
            if kind in "ab":
                video, written, said = walks[place, tiou].T
                sums = np.bincount(video, weights=meteor(written, said), minlength=len(case.videos))
            else:
                value = story.overlap if kind == "d" else story.overlap * meteor(story.written, story.said)
                sums = best_sums(story.video, story.row, story.column, value, len(case.videos))
            each = triples(sums, case.predicted.counts, story.counts)
            found[story.takes_part, place, column] = each[story.takes_part]
    if rules.soda_files == "multi":
        found = _best_annotator(found)
    found = found.mean(axis=2)
    if rules.soda_files == "per-video":
        number = (~np.isnan(found[..., :1])).sum(axis=1)
        found = np.where(number > 0, divide(np.nansum(found, axis=1), number), np.nan)[:, None]
    return found


def thresholds_of(kind: str, rules: Protocol) -> tuple[float, ...]:
    """The IoUs below which a type's matrix is 0: a score each."""
    return rules.tious if kind == "a" else (0.0,)


def walk_stories(case: Case, stories: Sequence[Story], rules: Protocol,
                 kinds: Sequence[str]) -> dict[tuple[int, float], np.ndarray]:
    """The pairs that types a and b among ``kinds`` sum over: {(story, threshold): (K, 3) video, reference and predicted
    text}."""
    thresholds = sorted({tiou for kind in kinds if kind in "ab" for tiou in thresholds_of(kind, rules)})
    return {(place, tiou): _walk(case, story, tiou, rules.soda_traceback)
            for place, story in enumerate(stories) for tiou in thresholds}


def soda_measure(name: str, found: np.ndarray, rules: Protocol) -> Measure:
    """The measure of a score's name from `soda_triples` (V, lists, 3).

    Means over the videos of each list, then over lists with any.  ``soda_d`` may be the mean of P, R and F.
    """
    part = None if name == "soda_d" and rules.soda_d == "mean-of-prf" else PARTS[name[6:]]
    lists = found.shape[1]
    takes_part = ~np.isnan(found[..., :1])
    rows = np.concatenate([np.where(takes_part, found, 0.0), takes_part], axis=2).reshape(len(found), -1)
    return Measure(name, rows, partial(mean_of_lists, lists=lists, part=part))


def mean_of_lists(sums: np.ndarray, lists: int, part: int | None) -> np.ndarray:
    """Sums (..., 4 lists) of precision, recall, F and of videos -> the mean over lists of one part (None: of all)."""
    by_list = sums.reshape(*sums.shape[:-1], lists, 4)
    means = divide(by_list[..., :3], by_list[..., 3:])
    value = means.mean(axis=-1) if part is None else means[..., part]
    return divide(value.sum(axis=-1), (by_list[..., 3] > 0).sum(axis=-1))


def _walk(case: Case, story: Story, tiou: float, traceback: str) -> np.ndarray:
    """The chosen pairs of a story's videos: (K, 3) video, reference and predicted text."""
    counts = case.predicted.counts
    first_row, first_column = (np.cumsum(side) - side for side in (story.counts, counts))
    ends = np.searchsorted(story.video, np.arange(len(counts) + 1))
    found = []
    for at in np.flatnonzero(story.takes_part & (counts > 0) & (story.counts > 0)).tolist():
        shape = int(story.counts[at]), int(counts[at])
        if shape[0] * shape[1] > MOST_CELLS:
            raise UserError(f"video {case.videos[at]}: SODA a and b compare {shape[0]} events with {shape[1]} "
                            f"predictions, more than {MOST_CELLS} cells; leave soda_a and soda_b out of the metrics")
        matrix, own = np.zeros(shape), slice(ends[at], ends[at + 1])
        matrix[story.row[own], story.column[own]] = np.where(story.overlap[own] < tiou, 0.0, story.overlap[own])
        found += [(at, first_row[at] + i, first_column[at] + j) for i, j in chosen_pairs(matrix, traceback)]
    video, row, column = np.array(found, dtype=np.int64).reshape(-1, 3).T
    written, said = story.texts_by_rank
    return np.stack([video, written[row], said[column]], axis=1)


def _best_annotator(found: np.ndarray) -> np.ndarray:
    """Of each video and threshold the annotator with the largest F, of equal ones the first: (V, 1, T, 3)."""
    best = np.where(np.isnan(found[..., 2]), -1.0, found[..., 2]).argmax(axis=1)
    return np.take_along_axis(found, best[:, None, :, None], axis=1)


def _merge(lists: Sequence[tuple[Events, Overlaps, np.ndarray]]) -> tuple[Events, Overlaps, np.ndarray]:
    """All annotators' events as one author's, one file after the other within a video."""
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
