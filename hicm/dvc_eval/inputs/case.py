"""What is scored: predictions and references side by side, and what was left out or looks wrong."""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.inputs.read import Tracks
from hicm.errors import UserError
from hicm.evaluation.spans import odd_spans


@dataclass(frozen=True)
class Events:
    """The events of one file over V videos, ordered by video and place in the file.

    ``video`` (N,): index of the video; ``place`` (N,): index in the video's list; ``spans`` (N, 2) in seconds;
    ``captions``: N texts; ``counts`` (V,): events per video; ``present`` (V,) bool: whether the file has the video.
    """

    video: np.ndarray
    place: np.ndarray
    spans: np.ndarray
    captions: tuple[str, ...]
    counts: np.ndarray
    present: np.ndarray

    def where(self, chosen: np.ndarray) -> "Events":
        """Only the events in a mask (N,); ``place`` stays as in the file."""
        if chosen.all():
            return self
        captions = tuple(self.captions[at] for at in np.flatnonzero(chosen).tolist())
        video = self.video[chosen]
        return Events(video, self.place[chosen], self.spans[chosen], captions,
                      np.bincount(video, minlength=len(self.counts)), self.present)


@dataclass(frozen=True)
class Case:
    """All reference videos, sorted by id, with the predictions and each annotator's events."""

    videos: tuple[str, ...]
    predicted: Events
    annotators: tuple[Events, ...]

    def part(self, first: int, end: int) -> "Case":
        """The videos from ``first`` to before ``end``."""
        return Case(self.videos[first:end], _part(self.predicted, first, end),
                    tuple(_part(events, first, end) for events in self.annotators))


def _part(events: Events, first: int, end: int) -> Events:
    low, high = np.searchsorted(events.video, [first, end])
    return Events(events.video[low:high] - first, events.place[low:high], events.spans[low:high],
                  events.captions[low:high], events.counts[first:end], events.present[first:end])


def build_case(predicted: Tracks, annotators: Sequence[Tracks]) -> Case:
    """Predictions and references side by side.  Raises UserError when no reference video is predicted."""
    videos = sorted(set().union(*annotators))
    if not any(video in predicted for video in videos):
        rule, alike = nearly_equal(set(predicted), set(videos))
        hint = f"predicted ids: {', '.join(sorted(predicted)[:2]) or 'none'}; reference ids: {', '.join(videos[:2])}"
        hint += f"; {len(alike)} differ only by {rule}: rename them in one of the files" if alike else ""
        raise UserError(f"predictions: none of the {len(videos)} reference videos is predicted; {hint}")
    return Case(tuple(videos), gather(videos, predicted), tuple(gather(videos, tracks) for tracks in annotators))


def gather(videos: Sequence[str], tracks: Tracks) -> Events:
    """One file's events of these videos."""
    found = [tracks.get(video) for video in videos]
    counts = np.array([0 if track is None else len(track) for track in found], dtype=np.int64)
    video = np.repeat(np.arange(len(videos)), counts)
    return Events(
        video=video, place=np.arange(len(video)) - np.repeat(np.cumsum(counts) - counts, counts),
        spans=np.concatenate([np.zeros((0, 2)), *(track.spans for track in found if track is not None)]),
        captions=tuple(caption for track in found if track is not None for caption in track.captions),
        counts=counts, present=np.array([track is not None for track in found], dtype=bool))


def coverage(predicted: Tracks, annotators: Sequence[Tracks], protocol: Protocol) -> dict[str, Any]:
    """Which videos the scores are about.

    Numbers: ``videos`` in the references, ``scored`` (those in the means).  Ids: ``missing`` from the predictions,
    ``empty`` in them, ``unknown`` to the references, and ``unknown_but_for_prefix``, which differ from a missing one
    only by ``v_``, case or a file ending.
    """
    wanted = set().union(*annotators)
    missing = sorted(wanted - set(predicted))
    unknown = sorted(set(predicted) - wanted)
    return {
        "videos": len(wanted),
        "scored": len(wanted) - (len(missing) if protocol.missing == "skip" else 0),
        "missing": missing,
        "empty": sorted(video for video in wanted & set(predicted) if not len(predicted[video])),
        "unknown": unknown,
        "unknown_but_for_prefix": nearly_equal(set(unknown), set(missing))[1],
    }


def input_warnings(case: Case, annotators: Sequence[Tracks]) -> list[str]:
    """Warnings about the files, whatever the protocol."""
    found = []
    for number, tracks in enumerate(annotators, start=1):
        if any(tracks.keys() == other.keys() and all(tracks[video].captions == other[video].captions
                                                     for video in tracks) for other in annotators[:number - 1]):
            found.append(f"references {number}: the same captions as in another reference file")
    known = set(case.videos)
    twice = [video for video in case.videos if f"v_{video}" in known]
    if twice:
        found.append(f"references: {len(twice)} ids occur both with and without 'v_' (first: {twice[0]})")
    duration = np.full(len(case.videos), np.inf)
    for tracks in reversed(annotators):
        for at, video in enumerate(case.videos):
            if video in tracks and tracks[video].duration is not None:
                duration[at] = tracks[video].duration
    found += odd_spans("predictions", case.predicted.spans, duration[case.predicted.video])
    found += odd_spans("references", np.concatenate([events.spans for events in case.annotators]),
                       np.concatenate([duration[events.video] for events in case.annotators]))
    return found


def rule_warnings(case: Case, covered: dict[str, Any], rules: Protocol) -> list[str]:
    """Warnings about what the protocol's rules do with these files."""
    found = []
    if covered["missing"]:
        rule = "left out of every mean" if rules.missing == "skip" else "counted as 0"
        if rules.missing == "zero" and rules.soda and rules.soda_missing == "skip":
            rule += ", but left out of SODA"
        found.append(f"{len(covered['missing'])} of {covered['videos']} reference videos are not predicted: {rule}")
    if covered["unknown_but_for_prefix"]:
        rule, alike = nearly_equal(set(covered["unknown"]), set(covered["missing"]))
        found.append(f"{len(alike)} predicted ids differ from missing ones only by {rule} (first: {alike[0]}); they "
                     "are not scored: rename them in one of the files")
    long = np.flatnonzero(case.predicted.counts > rules.max_proposals)
    if len(long) and rules.pairing == "overlap" and (rules.captions or rules.localisation):
        found.append(f"{len(long)} videos have more than {rules.max_proposals} predictions (first: "
                     f"{case.videos[long[0]]}): only the first {rules.max_proposals} count, except in SODA and "
                     "paragraphs")
    if rules.soda:
        sides = np.stack([events.counts for events in case.annotators])
        largest = sides.sum(axis=0) if rules.soda_files == "merged" else sides.max(axis=0)
        beyond = int((case.predicted.counts + largest > 990).sum())
        if beyond:
            found.append(f"{beyond} videos have more than 990 predictions and events together: SODA is computed here, "
                         "where the recursive toolkits fail or give 0")
        if rules.missing == "zero" and rules.soda_empty == "zero" and rules.soda_missing == "skip" and covered["empty"]:
            found.append(f"{len(covered['empty'])} empty predictions count as 0 in SODA, where the toolkits fail")
    return found


# How files write the same id differently, and what makes them equal.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "the prefix 'v_'": lambda video: re.sub("^v_", "", video, flags=re.IGNORECASE),
    "case": str.casefold,
    "a file ending": lambda video: re.sub(r"(?<=.)(\.[A-Za-z][A-Za-z0-9]{1,4})+$", "", video)}


def nearly_equal(first: Set[str], second: Set[str]) -> tuple[str, list[str]]:
    """Ids of ``first`` that are in ``second`` but for their spelling, and by what they differ, as a phrase.

    >>> nearly_equal({"v_a.mp4", "v_b"}, {"a", "c"})
    ("the prefix 'v_' and a file ending", ['v_a.mp4'])
    """
    def alike(spellings: Sequence[str]) -> list[str]:
        def plain(video: str) -> str:
            for spelling in spellings:
                video = SPELLINGS[spelling](video)
            return video

        known = {plain(video) for video in second}
        return sorted(video for video in first if plain(video) in known)

    found = alike(tuple(SPELLINGS)) if first and second else []
    if not found:
        return "", []
    fewest = next(chosen for size in range(1, len(SPELLINGS) + 1) for chosen in combinations(SPELLINGS, size)
                  if len(alike(chosen)) == len(found))
    return " and ".join(fewest), found
