"""One video in words: which prediction met which event, and which pairs SODA sums over."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from hicm.dvc_eval.inputs.case import build_case
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.inputs.read import Track, read_predictions, read_references
from hicm.dvc_eval.metrics.overlaps import find_overlaps
from hicm.dvc_eval.metrics.soda import chosen_pairs, triples
from hicm.dvc_eval.metrics.soda_scores import MOST_CELLS, PairScores, SodaScores, Story, thresholds_of
from hicm.dvc_eval.results.score import EventPair, Result
from hicm.dvc_eval.words.meteor15 import NativeMeteor
from hicm.dvc_eval.words.texts import Oddities, intern_captions
from hicm.dvc_eval.words.tokenise import PtbTokeniser

Place = tuple[int, int]  # annotator and event, as their files count them, from 0


@dataclass(frozen=True)
class Matching:
    """What one type of SODA sums over for one list of references: pairs of prediction, event, IoU and METEOR.

    ``tiou``: the IoU below which type a takes nothing; 0 for the others.
    """

    kind: str
    tiou: float
    pairs: tuple[tuple[int, int, float, float], ...]

    @property
    def total(self) -> float:
        """The sum, of METEOR in types a and b, of IoU in type d, of their product in type c."""
        return sum({"c": overlap * score, "d": overlap}.get(self.kind, score) for _, _, overlap, score in self.pairs)


def explain(result: Result, predictions: Any, references: Any, video: str) -> str:
    """What a video's scores are made of: the events that every prediction met with the scores of each pair, the events
    that nothing met, and SODA's matching, type by type and annotator by annotator.

    ``predictions`` and ``references``: what ``result`` was made from.  Raises UserError for a video not scored.
    """
    result.place_of(video)  # an error for what was not scored
    kinds = "".join(kind for kind in "abcd" if any(name.startswith(f"soda_{kind}") for name in result.scores))
    said = read_predictions(predictions, [])[0].get(video)
    annotators = [tracks.get(video) for tracks in read_references(references, [])]
    lines = [f"video {video} under {result.protocol}; scores of each pair alone, times 100"]
    if said is None:
        lines.append(f"not predicted: {'left out of every mean' if result.rules.missing == 'skip' else 'counts 0'}")
    elif not len(said):
        lines.append("predicted without events")
    if result.pairs is not None or not kinds:
        lines += _meetings(result.event_pairs(video), result.rules, said, annotators)
    if kinds and said:
        lines += _soda(result.rules, kinds, video, said, annotators)
    return "\n".join(lines)


def _meetings(pairs: Sequence[EventPair], rules: Protocol, said: Track | None,
              annotators: Sequence[Track | None]) -> Iterator[str]:
    met = set()
    for place in range(len(said or ())):
        yield _event(f"prediction {place}", said, place)
        if place >= rules.max_proposals:
            yield f"    beyond the first {rules.max_proposals}, which alone are compared"
        own = [pair for pair in pairs if pair.prediction == place]
        for pair in sorted(own, key=lambda pair: pair.event is None):
            scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in pair.scores.items())
            if pair.event is None:
                at = ", ".join(f"{tiou:g}" for tiou in rules.tious if tiou > pair.iou)
                yield f"    at IoU {at}: no event, compared with the unmatched string"
            else:
                met.add((pair.annotator, pair.event))
                name = _name((pair.annotator, pair.event), annotators)
                yield f"    IoU {pair.iou:.3f}  {scores}  " + _event(name, annotators[pair.annotator], pair.event)
    for number, track in enumerate(annotators):
        for place in range(len(track or ())):
            if (number, place) not in met:
                yield _event(f"met by nothing: {_name((number, place), annotators)}", track, place)


def _soda(rules: Protocol, kinds: str, video: str, said: Track,
          annotators: Sequence[Track | None]) -> Iterator[str]:
    """SODA's matching of each of the ``kinds`` and list of references."""
    lists = _lists(rules, annotators)
    if len(said) * max(map(len, lists), default=0) > MOST_CELLS:
        yield f"SODA's matching is not shown: more than {MOST_CELLS} pairs of predictions and events"
        return
    tracks = [_track([annotators[number] for number, _ in events], [place for _, place in events])
              for events in lists]
    for events, matchings in zip(lists, _matchings(rules, kinds, video, said, tracks), strict=True):
        several = len(lists) > 1  # then the heading names the file
        names = [f"event {place}" if several else _name((number, place), annotators) for number, place in events]
        for matching in matchings:
            yield _heading(matching, rules, f", file {events[0][0] + 1}" if several else "")
            for prediction, event, overlap, score in matching.pairs:
                told = f", METEOR {100 * score:.1f}" if matching.kind != "d" else ""
                yield f"    prediction {prediction} with {names[event]}: IoU {overlap:.3f}{told}"
            total = matching.total
            precision, recall, f = triples(np.array([total]), np.array([len(said)]), np.array([len(events)]))[0]
            yield (f"    sum {total:.3f} over {len(said)} predictions and {len(events)} events: precision "
                   f"{100 * precision:.2f}, recall {100 * recall:.2f}, F {100 * f:.2f}")


def _lists(rules: Protocol, annotators: Sequence[Track | None]) -> list[list[Place]]:
    """The lists of references that are matched, as places in the files: each file alone, or all merged."""
    lists = [[(number, place) for place in range(len(track))] for number, track in enumerate(annotators) if track]
    return [list(chain.from_iterable(lists))] if rules.soda_files == "merged" and lists else lists


def _heading(matching: Matching, rules: Protocol, where: str) -> str:
    at = f" at IoU {matching.tiou:g}" if matching.kind == "a" else ""
    swapped = matching.kind != "d" and rules.soda_roles == "swapped"
    return f"SODA {matching.kind}{where}{at} matches{'; the event is the hypothesis of METEOR' if swapped else ''}"


def _matchings(rules: Protocol, kinds: str, video: str, said: Track,
               tracks: Sequence[Track]) -> Iterator[list[Matching]]:
    """Of each list of references the matchings of all ``kinds``, by places in the lists."""
    if not tracks:
        return
    case = build_case({video: said}, [{video: track} for track in tracks])
    texts = intern_captions(case, PtbTokeniser(), Oddities())
    scorer = SodaScores(case, [find_overlaps(case, events) for events in case.annotators], texts, rules, kinds)
    scores = None if kinds == "d" else scorer.pair_scores(_meteor().score(_meteor().statistics(scorer.asks())))
    columns = np.argsort(said.spans[:, 0], kind="stable").tolist()
    # A list that is merged comes as one story, its files already joined in ``tracks``.
    for story, track in zip(scorer.stories, tracks, strict=True):
        rows = range(len(track)) if rules.soda_files == "multi" else np.argsort(track.spans[:, 0],
                                                                                kind="stable").tolist()
        yield [Matching(kind, tiou, tuple(
            (columns[column], rows[row], overlap, score)
            for row, column, overlap, score in _matching(story, kind, tiou, rules.soda_traceback, scores)))
            for kind in kinds for tiou in thresholds_of(kind, rules)]


@functools.cache
def _meteor() -> NativeMeteor:
    return NativeMeteor()


def _matching(story: Story, kind: str, tiou: float, traceback: str,
              scores: PairScores | None) -> Iterator[tuple[int, int, float, float]]:
    """Ranks of event and prediction, IoU and METEOR of the pairs that a type sums over."""
    written, said = story.texts_by_rank
    overlap = np.zeros((len(written), len(said)))
    overlap[story.row, story.column] = story.overlap
    matrix = np.where(overlap < tiou, 0.0, overlap)
    if kind == "c":
        matrix[story.row, story.column] *= scores(story.written, story.said)
    pairs = np.array(chosen_pairs(matrix, "optimal" if kind in "cd" else traceback), dtype=np.int64).reshape(-1, 2)
    found = scores(written[pairs[:, 0]], said[pairs[:, 1]]) if kind != "d" else np.zeros(len(pairs))
    for (row, column), score in zip(pairs.tolist(), found.tolist(), strict=True):
        yield row, column, float(overlap[row, column]), score


def _track(tracks: Sequence[Track], places: Sequence[int]) -> Track:
    """The events at some places of some tracks as one list."""
    pairs = list(zip(tracks, places, strict=True))
    return Track(np.array([track.spans[place] for track, place in pairs]).reshape(-1, 2),
                 tuple(track.captions[place] for track, place in pairs))


def _name(place: Place, annotators: Sequence[Track | None]) -> str:
    return f"file {place[0] + 1} event {place[1]}" if len(annotators) > 1 else f"event {place[1]}"


def _event(name: str, track: Track, place: int) -> str:
    start, end = track.spans[place].tolist()
    return f"{name} [{start:g}, {end:g}] {track.captions[place]!r}"
