"""What is scored: predictions and references brought together, and the account of what was not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.dvc_eval.protocols import Protocol
from hicm.dvc_eval.read import NOTHING, Track, Tracks, odd_spans
from hicm.dvc_eval.tokenise import Tokeniser, clean
from hicm.errors import UserError


@dataclass(frozen=True)
class Case:
    """The scored videos, sorted by id.

    ``predicted``: one track a video, without events where the video is missing and counts 0.  ``references``: per
    video one entry an annotator, None where the annotator left the video out.  ``present``: videos that the
    predictions name at all.
    """

    videos: tuple[str, ...]
    predicted: tuple[Track, ...]
    references: tuple[tuple[Track | None, ...], ...]
    present: tuple[bool, ...]

    def annotators(self, video: int) -> list[Track]:
        """Tracks of those who annotated this video."""
        return [track for track in self.references[video] if track is not None]


@dataclass(frozen=True)
class Texts:
    """Tokenised captions, each distinct string once, and who says which.

    ``predicted[v]`` (n,) and ``references[v][a]`` (m,) hold indices into ``tokens``; ``unmatched`` is the index of
    the string that a prediction without any event is compared with.
    """

    tokens: list[str]
    predicted: list[np.ndarray]
    references: list[list[np.ndarray | None]]
    unmatched: int


def build_case(predicted: Tracks, annotators: Sequence[Tracks], protocol: Protocol) -> Case:
    """Choose the scored videos by the protocol's rule for missing ones.  UserError when no video is predicted."""
    videos = sorted(set().union(*annotators))
    shared = [video for video in videos if video in predicted]
    if not shared:
        hint = "the ids differ by the prefix 'v_'" if _other_prefix(set(predicted), set(videos)) else \
            f"predicted are {', '.join(sorted(predicted)[:2]) or 'none'}, wanted {', '.join(videos[:2])}"
        raise UserError(f"predictions: none of the {len(videos)} reference videos is predicted; {hint}")
    scored = shared if protocol.missing == "skip" else videos
    return Case(
        videos=tuple(scored),
        predicted=tuple(predicted.get(video, NOTHING) for video in scored),
        references=tuple(tuple(tracks.get(video) for tracks in annotators) for video in scored),
        present=tuple(video in predicted for video in scored),
    )


def coverage(predicted: Tracks, annotators: Sequence[Tracks], case: Case) -> dict[str, Any]:
    """Counts and ids: which videos the scores speak of.

    ``videos`` in the references, ``scored`` in the means; ids ``missing`` from the predictions, ``empty`` there,
    ``unknown`` to the references, and ``unknown_but_for_prefix``: would match with ``v_`` removed or added.
    """
    wanted = set().union(*annotators)
    unknown = sorted(set(predicted) - wanted)
    return {
        "videos": len(wanted),
        "scored": len(case.videos),
        "missing": sorted(wanted - set(predicted)),
        "empty": sorted(video for video in wanted & set(predicted) if not len(predicted[video])),
        "unknown": unknown,
        "unknown_but_for_prefix": _other_prefix(set(unknown), wanted - set(predicted)),
    }


def case_warnings(case: Case, covered: dict[str, Any], max_proposals: int, with_soda: bool, missing: str) -> list[str]:
    """What a reader of the scores should know about the input."""
    found = []
    if covered["missing"]:
        rule = "left out of every mean" if missing == "skip" else "counted as 0, but left out of SODA"
        found.append(f"{len(covered['missing'])} of {covered['videos']} reference videos are not predicted: {rule}")
    if covered["unknown_but_for_prefix"]:
        found.append(f"{len(covered['unknown_but_for_prefix'])} predicted ids differ from missing ones only by 'v_' "
                     f"(first: {covered['unknown_but_for_prefix'][0]}); they are not scored")
    long = [video for video, track in zip(case.videos, case.predicted, strict=True) if len(track) > max_proposals]
    if long:
        found.append(f"{len(long)} videos have more than {max_proposals} predictions (first: {long[0]}): the first "
                     f"{max_proposals} count, but for SODA")
    if with_soda:
        beyond = sum(len(track) + len(reference) > 990 for video, track in enumerate(case.predicted)
                     for reference in case.annotators(video))
        if beyond:
            found.append(f"{beyond} videos have more than 990 events on both sides together: SODA is computed here, "
                         "where the recursive toolkits stop or give 0")
        if missing == "zero" and covered["empty"]:
            found.append(f"{len(covered['empty'])} empty predictions count 0 in SODA, where the toolkits stop")
    durations = [next((track.duration for track in case.annotators(video) if track.duration is not None), None)
                 for video in range(len(case.videos))]
    found += odd_spans("predictions", zip(case.predicted, durations, strict=True))
    found += odd_spans("references", [(track, durations[video]) for video in range(len(case.videos))
                                      for track in case.annotators(video)])
    return found


def intern_captions(case: Case, tokeniser: Tokeniser, unmatched: str, warnings: list[str]) -> Texts:
    """Clean and tokenise each distinct caption once.  Raises Unavailable when the tokeniser cannot work here."""
    said = list(dict.fromkeys(caption for track in case.predicted for caption in track.captions))
    written = list(dict.fromkeys(caption for tracks in case.references for track in tracks if track
                                 for caption in track.captions))
    captions = dict(zip(said, clean(said, "predictions", warnings), strict=True))
    captions |= zip(written, clean(written, "references", warnings), strict=True)
    distinct = list(dict.fromkeys(captions.values()))
    tokens = dict(zip(distinct, tokeniser.tokenise(distinct), strict=True))
    if tokeniser.unproven:
        warnings.append(f"{tokeniser.unproven} captions hold what the tokeniser's rules are not proven for; compare "
                        "with the jar: --check-with-java")
    index: dict[str, int] = {}
    place = {caption: index.setdefault(tokens[cleaned], len(index)) for caption, cleaned in captions.items()}
    for side, texts in (("predictions", said), ("references", written)):
        empty = sum(not tokens[captions[caption]] for caption in texts)
        if empty:
            warnings.append(f"{side}: {empty} captions have no word; they count as empty")

    def indices(track: Track | None) -> np.ndarray | None:
        return None if track is None else np.array([place[caption] for caption in track.captions], dtype=np.int64)

    return Texts(
        predicted=[indices(track) for track in case.predicted],
        references=[[indices(track) for track in tracks] for tracks in case.references],
        unmatched=index.setdefault(unmatched, len(index)),
        tokens=list(index),
    )


def _other_prefix(first: set[str], second: set[str]) -> list[str]:
    """Ids of ``first`` that are in ``second`` once ``v_`` is removed or added."""
    return sorted(video for video in first if video.removeprefix("v_") in second or f"v_{video}" in second)
