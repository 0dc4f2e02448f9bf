"""One video in words: which prediction met which event, and which pairs SODA sums over."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from hicm.dvc_eval.case import build_case
from hicm.dvc_eval.meteor15 import NativeMeteor
from hicm.dvc_eval.overlaps import find_overlaps
from hicm.dvc_eval.protocols import Protocol
from hicm.dvc_eval.read import Track, read_predictions, read_references
from hicm.dvc_eval.score import Result
from hicm.dvc_eval.soda import chosen_pairs, triples
from hicm.dvc_eval.stories import SodaScores, Story, thresholds_of
from hicm.dvc_eval.texts import Oddities, intern_captions
from hicm.dvc_eval.tokenise import PtbTokeniser

Place = tuple[int, int]  # annotator and event, as their files count them, from 0


def explain(result: Result, predictions: Any, references: Any, video: str) -> str:
    """What a video's scores are made of: the events that every prediction met with the scores of each pair, the events
    that nothing met, and SODA's matching, type by type and annotator by annotator.

    ``predictions`` and ``references``: what ``result`` was made from.  Raises UserError for a video not scored.
    """
    kinds = "".join(kind for kind in "abcd" if any(name.startswith(f"soda_{kind}") for name in result.scores))
    if video not in result.videos or not kinds:
        result.event_pairs(video)  # which says what is wrong
    said = read_predictions(predictions, [])[0].get(video)
    annotators = [tracks.get(video) for tracks in read_references(references, [])]
    lines = [f"video {video} under {result.protocol}; scores of each pair alone, times 100"]
    if result.pairs is not None:
        lines += _meetings(result, said, annotators, video)
    if kinds and said:
        lines += _soda(result.rules, kinds, video, said, annotators)
    return "\n".join(lines)


def _meetings(result: Result, said: Track | None, annotators: Sequence[Track | None], video: str) -> Iterator[str]:
    pairs = result.event_pairs(video)
    met = set()
    for place in range(len(said or ())):
        yield _event(f"prediction {place}", said, place)
        own = [pair for pair in pairs if pair.prediction == place]
        for pair in sorted(own, key=lambda pair: pair.event is None):
            scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in pair.scores.items())
            if pair.event is None:
                at = ", ".join(f"{tiou:g}" for tiou in result.rules.tious if tiou > pair.iou)
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
    lists = [[(number, place) for place in range(len(track))] for number, track in enumerate(annotators) if track]
    if rules.soda_files == "merged" and lists:
        lists = [list(chain.from_iterable(lists))]
    tracks = [{video: _track([annotators[number] for number, _ in events], [place for _, place in events])}
              for events in lists]
    case = build_case({video: said}, tracks)
    texts = intern_captions(case, PtbTokeniser(), Oddities())
    scorer = SodaScores(case, [find_overlaps(case, events) for events in case.annotators], texts, rules, kinds)
    meteor = scorer.pair_scores(_meteor(scorer)) if kinds != "d" else None
    columns = np.argsort(said.spans[:, 0], kind="stable")
    for story, events, track in zip(scorer.stories, lists, tracks, strict=True):
        rows = np.arange(len(events)) if rules.soda_files == "multi" else np.argsort(track[video].spans[:, 0],
                                                                                      kind="stable")
        where = f", file {events[0][0] + 1}" if len(lists) > 1 else ""
        names = [f"event {place}" if where else _name((number, place), annotators) for number, place in events]
        for kind in kinds:
            for tiou in thresholds_of(kind, rules):
                roles = "; METEOR's hypothesis is the event" if kind != "d" and rules.soda_roles == "swapped" else ""
                yield f"SODA {kind}{where}{f' at IoU {tiou:g}' if kind == 'a' else ''} matches{roles}"
                total = 0.0
                for row, column, overlap, score in _matching(story, kind, tiou, rules.soda_traceback, meteor):
                    total += {"c": overlap * score, "d": overlap}.get(kind, score)
                    told = f", METEOR {100 * score:.1f}" if kind != "d" else ""
                    yield (f"    prediction {columns[column]} with {names[rows[row]]}: "
                           f"IoU {overlap:.3f}{told}")
                precision, recall, f = triples(np.array([total]), np.array([len(said)]), np.array([len(events)]))[0]
                yield (f"    sum {total:.3f} over {len(said)} predictions and {len(events)} events: precision "
                       f"{100 * precision:.2f}, recall {100 * recall:.2f}, F {100 * f:.2f}")


def _meteor(scorer: SodaScores) -> np.ndarray:
    meteor = NativeMeteor()
    return meteor.score(meteor.statistics(scorer.asks()))


def _matching(story: Story, kind: str, tiou: float, traceback: str,
              meteor: Any) -> Iterator[tuple[int, int, float, float]]:
    """Ranks of event and prediction, IoU and METEOR of the pairs that a type sums over."""
    written, said = story.texts_by_rank
    overlap = np.zeros((len(written), len(said)))
    overlap[story.row, story.column] = story.overlap
    matrix = np.where(overlap < tiou, 0.0, overlap)
    if kind == "c":
        matrix[story.row, story.column] *= meteor(story.written, story.said)
    pairs = np.array(chosen_pairs(matrix, "optimal" if kind in "cd" else traceback), dtype=np.int64).reshape(-1, 2)
    scores = meteor(written[pairs[:, 0]], said[pairs[:, 1]]) if kind != "d" else np.zeros(len(pairs))
    for (row, column), score in zip(pairs.tolist(), scores.tolist(), strict=True):
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
