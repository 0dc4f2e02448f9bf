"""Explains the scores of one video in words: which predictions match which events, and which pairs SODA sums over."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from hicm.dvc_eval.inputs.case import build_case
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.inputs.read import Track, read_inputs
from hicm.dvc_eval.metrics.overlaps import find_overlaps
from hicm.dvc_eval.metrics.part import align
from hicm.dvc_eval.metrics.soda import chosen_pairs, triples
from hicm.dvc_eval.metrics.soda_scores import (
    MOST_CELLS,
    RankedOverlaps,
    SodaScores,
    thresholds_of,
)
from hicm.dvc_eval.results.score import EventPair, Result
from hicm.dvc_eval.words.meteor15 import NativeMeteor
from hicm.dvc_eval.words.texts import Oddities, intern_captions
from hicm.dvc_eval.words.tokenise import PtbTokeniser, tokeniser_of
from hicm.evaluation.result import not_scored

# METEOR of pairs of texts, as indices: references (K,) and predictions (K,) -> (K,).
PairScores = Callable[[np.ndarray, np.ndarray], np.ndarray]
Place = tuple[int, int]  # annotator and event, as indices in their files
NO_EVENTS = Track(np.zeros((0, 2)), ())


@dataclass(frozen=True)
class Matching:
    """What one type of SODA sums over for one list of references: pairs of prediction, event, IoU and METEOR.

    ``tiou``: the IoU below which type a ignores pairs; 0 for the others.
    """

    kind: str
    tiou: float
    pairs: tuple[tuple[int, int, float, float], ...]

    @property
    def total(self) -> float:
        """The sum: of METEOR in types a and b, of IoU in type d, of their product in type c."""
        return sum({"c": overlap * score, "d": overlap}.get(self.kind, score) for _, _, overlap, score in self.pairs)


def explain(result: Result, predictions: Any, references: Any, video: str, format: str = "",
            reference_format: str = "") -> str:
    """What the scores of a video consist of.

    The events that every prediction matches, with the scores of each pair; the events that nothing matches; and SODA's
    matching for each type and annotator.  ``predictions``, ``references`` and formats: what ``result`` was made from.
    Raises UserError for a video that was not scored.
    """
    result.place_of(video)  # raises for a video that was not scored
    kinds = "".join(kind for kind in "abcd" if any(name.startswith(f"soda_{kind}") for name in result.scores))
    inputs = read_inputs(predictions, references, [], format, reference_format)
    predicted = inputs.predicted.get(video)
    annotators = [tracks.get(video, NO_EVENTS) for tracks in inputs.annotators]
    lines = [f"video {video} under {result.protocol}; scores of each pair alone, times 100"]
    if predicted is None:
        missing = "left out of every mean" if result.rules.missing == "skip" else "counts as 0"
        lines.append(f"not predicted: {missing}")
    elif not len(predicted):
        lines.append("predicted without events")
    if result.pairs is not None or not kinds:
        lines += _matches(result.event_pairs(video), result.rules, predicted or NO_EVENTS, annotators)
    if kinds and predicted:
        lines += _soda(result.rules, kinds, video, predicted, annotators)
    return "\n".join(lines)


def check_video(predictions: Any, references: Any, rules: Sequence[Protocol], video: str, format: str = "",
                reference_format: str = "") -> None:
    """UserError for a video that will not be scored under these rules: before scoring what `explain` is to explain."""
    inputs = read_inputs(predictions, references, [], format, reference_format)
    known = set().union(*inputs.annotators)
    for one in rules:
        scored = known & set(inputs.predicted) if one.missing == "skip" else known
        if scored and video not in scored:
            raise not_scored("video", video, sorted(scored))


def _matches(pairs: Sequence[EventPair], rules: Protocol, predicted: Track,
             annotators: Sequence[Track]) -> Iterator[str]:
    matched: set[Place] = set()
    for place in range(len(predicted)):
        yield _event(f"prediction {place}", predicted, place)
        if place >= rules.max_proposals:
            yield f"    not compared: beyond the first {rules.max_proposals}"
        own = [pair for pair in pairs if pair.prediction == place]
        for pair in sorted(own, key=lambda pair: pair.event is None):
            if pair.event is None or pair.annotator is None:
                at = ", ".join(f"{tiou:g}" for tiou in rules.tious if tiou > pair.iou)
                yield f"    at IoU {at}: no event, compared with the unmatched string"
                continue
            matched.add((pair.annotator, pair.event))
            scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in pair.scores.items())
            name = _name((pair.annotator, pair.event), annotators)
            yield f"    IoU {pair.iou:.3f}  {scores}  " + _event(name, annotators[pair.annotator], pair.event)
    for number, track in enumerate(annotators):
        for place in range(len(track)):
            if (number, place) not in matched:
                yield _event(f"not matched: {_name((number, place), annotators)}", track, place)


def _soda(rules: Protocol, kinds: str, video: str, predicted: Track, annotators: Sequence[Track]) -> Iterator[str]:
    """SODA's matching of each of the ``kinds`` and list of references."""
    lists = _lists(rules, annotators)
    if len(predicted) * max(map(len, lists), default=0) > MOST_CELLS:
        yield f"SODA's matching is not shown: more than {MOST_CELLS} pairs of predictions and events"
        return
    tracks = [_track([annotators[number] for number, _ in events], [place for _, place in events])
              for events in lists]
    for events, matchings in zip(lists, _matchings(rules, kinds, video, predicted, tracks), strict=True):
        several = len(lists) > 1  # then the heading has the number of the file
        names = [f"event {place}" if several else _name((number, place), annotators) for number, place in events]
        for matching in matchings:
            yield _heading(matching, rules, f", file {events[0][0] + 1}" if several else "")
            for prediction, event, overlap, score in matching.pairs:
                meteor = f", METEOR {100 * score:.1f}" if matching.kind != "d" else ""
                yield f"    prediction {prediction} with {names[event]}: IoU {overlap:.3f}{meteor}"
            total = matching.total
            precision, recall, f = triples(np.array([total]), np.array([len(predicted)]), np.array([len(events)]))[0]
            yield (f"    sum {total:.3f} over {len(predicted)} predictions and {len(events)} events: precision "
                   f"{100 * precision:.2f}, recall {100 * recall:.2f}, F {100 * f:.2f}")


def _lists(rules: Protocol, annotators: Sequence[Track]) -> list[list[Place]]:
    """The lists of references that are matched: each file alone, or all merged."""
    lists = [[(number, place) for place in range(len(track))] for number, track in enumerate(annotators) if track]
    return [list(chain.from_iterable(lists))] if rules.soda_files == "merged" and lists else lists


def _heading(matching: Matching, rules: Protocol, where: str) -> str:
    at = f" at IoU {matching.tiou:g}" if matching.kind == "a" else ""
    swapped = matching.kind != "d" and rules.soda_roles == "swapped"
    return f"SODA {matching.kind}{where}{at} matches{'; the event is the hypothesis of METEOR' if swapped else ''}"


def _matchings(rules: Protocol, kinds: str, video: str, predicted: Track,
               tracks: Sequence[Track]) -> Iterator[list[Matching]]:
    """For each list of references the matchings of all ``kinds``, as indices in the lists."""
    if not tracks:
        return
    case = build_case({video: predicted}, [{video: track} for track in tracks])
    texts = intern_captions(case, tokeniser_of(rules.tok, PtbTokeniser()), Oddities(), rules.tok == "ptb")
    scorer = SodaScores(case, [find_overlaps(case, events) for events in case.annotators], texts, rules, kinds)

    def scores(reference: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return align([scorer.text_pairs(reference, predicted)], _meteor())[0].scores()

    columns = np.argsort(predicted.spans[:, 0], kind="stable").tolist()
    # Merged references are a single list here: their files are already joined in ``tracks``.
    for one, track in zip(scorer.lists, tracks, strict=True):
        by_start = np.argsort(track.spans[:, 0], kind="stable").tolist()
        rows = list(range(len(track))) if rules.soda_files == "multi" else by_start
        yield [Matching(kind, tiou, tuple(
            (columns[column], rows[row], overlap, score)
            for row, column, overlap, score in _matching(one, kind, tiou, rules.soda_traceback, scores)))
            for kind in kinds for tiou in thresholds_of(kind, rules)]


@functools.cache
def _meteor() -> NativeMeteor:
    return NativeMeteor()


def _matching(one: RankedOverlaps, kind: str, tiou: float, traceback: str,
              scores: PairScores) -> Iterator[tuple[int, int, float, float]]:
    """Ranks of event and prediction, IoU and METEOR of the pairs that a type sums over."""
    references, predicted = one.texts_by_rank
    overlap = np.zeros((len(references), len(predicted)))
    overlap[one.row, one.column] = one.overlap
    matrix = np.where(overlap < tiou, 0.0, overlap)
    if kind == "c":
        matrix[one.row, one.column] *= scores(*one.texts)
    pairs = np.array(chosen_pairs(matrix, "optimal" if kind in "cd" else traceback), dtype=np.int64).reshape(-1, 2)
    found = scores(references[pairs[:, 0]], predicted[pairs[:, 1]]) if kind != "d" else np.zeros(len(pairs))
    for (row, column), score in zip(pairs.tolist(), found.tolist(), strict=True):
        yield row, column, float(overlap[row, column]), score


def _track(tracks: Sequence[Track], places: Sequence[int]) -> Track:
    """One event from each track, by index, as one track."""
    pairs = list(zip(tracks, places, strict=True))
    return Track(np.array([track.spans[place] for track, place in pairs]).reshape(-1, 2),
                 tuple(track.captions[place] for track, place in pairs))


def _name(place: Place, annotators: Sequence[Track]) -> str:
    return f"file {place[0] + 1} event {place[1]}" if len(annotators) > 1 else f"event {place[1]}"


def _event(name: str, track: Track, place: int) -> str:
    start, end = track.spans[place].tolist()
    return f"{name} [{start:g}, {end:g}] {track.captions[place]!r}"
