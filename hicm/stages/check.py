"""Everything that is wrong with a data set, in every split and file, before hours of training are spent on it.

An *error* stops training or evaluation; a *warning* does not, but the user should know about it.
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from hicm.config import HOLDOUT, Config
from hicm.data.annotations import read_annotations, read_split
from hicm.data.catalogue import compare_counts, message_of
from hicm.data.features import Features, open_features
from hicm.data.holdout import describe_selection
from hicm.data.ids import youtube_id
from hicm.data.pretraining import read_listing
from hicm.data.speech import open_speech
from hicm.errors import UserError
from hicm.rooms import start_files
from hicm.types import Video

SHOWN = 10  # items named per problem
COLUMNS = ("split", "file", "videos", "captions", "empty", "past end", "reversed", "negative", "zero length",
           "no features", "bad features", "no speech")


@dataclass(frozen=True)
class Problem:
    """One problem of one file: the videos or events that have it, and the remedy ('' if ``what`` includes it)."""

    is_error: bool
    file: str
    what: str
    items: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        more = f" and {len(self.items) - SHOWN} more" if len(self.items) > SHOWN else ""
        items = f": {', '.join(self.items[:SHOWN])}{more}" if self.items else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{'error' if self.is_error else 'warning'}: {self.file}: {self.what}{items}{remedy}"


@dataclass(frozen=True)
class Report:
    """``rows``: one per annotation file, the values of `COLUMNS` (None: not checked); ``problems``: errors first.

    ``notes``: how the settings use the splits, and what is missing compared with the official counts.
    """

    rows: tuple[tuple[str | int | None, ...], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether training and evaluation can run on this data."""
        return not any(problem.is_error for problem in self.problems)

    def __str__(self) -> str:
        table = [COLUMNS, *(tuple("-" if value is None else str(value) for value in row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(text.ljust(width) if i < 2 else text.rjust(width)
                           for i, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()
                 for line in table]
        errors = sum(problem.is_error for problem in self.problems)
        verdict = f"{'ok' if self.ok else 'not usable'}: {errors} error(s), {len(self.problems) - errors} warning(s)"
        return "\n".join([*lines, "", *self.notes, *map(str, self.problems), verdict])


def check_data(config: Config, deep: bool = False) -> Report:
    """Check every annotation file of every split, and the features and speech of its videos.

    ``deep`` reads every array and transcript (minutes for a large data set); otherwise only their presence is checked.
    Never raises UserError: what readers refuse becomes an error in the report.
    """
    return _Check(config, deep).run()


class _Check:
    def __init__(self, config: Config, deep: bool):
        self.config, self.data, self.deep = config, config.data, deep
        self.problems: list[Problem] = []
        self.seen: dict[str, tuple[int, str]] = {}  # video -> number of feature rows, what is wrong with them
        self.features = self._open_features()
        self.speech = self._try(lambda: open_speech(self.data.speech), self.data.speech) if self.data.speech else None

    def run(self) -> Report:
        self._check_roles()
        rows: list[tuple[str | int | None, ...]] = []
        counts: list[tuple[str, str, int, int]] = []
        ids: defaultdict[str, set[str]] = defaultdict(set)
        for split, files in self.data.annotations.items():
            for file in files:
                videos = self._try(lambda file=file: read_annotations(file), file)
                if videos is not None:
                    rows.append(self._check_file(split, file, videos))
                    counts.append((split, file, len(videos), sum(len(video.events) for video in videos.values())))
                    ids[split].update(map(youtube_id, videos))
        self._check_leak(ids)
        for setting, path in start_files(self.config.system, self.config.room).items():
            if not Path(path).exists():
                self._report(True, "settings", f"{setting}: {path} not found",
                             f"get it, or train without it: {setting}= (empty)")
        notes = [f"selection: {describe_selection(self.config)}", *self._count_held_out()]
        notes += compare_counts(self.data.name, counts, len(set().union(*ids.values())))
        return Report(tuple(rows), tuple(sorted(self.problems, key=lambda problem: not problem.is_error)), tuple(notes))

    def _count_held_out(self) -> list[str]:
        if not self.data.holdout or not self.data.annotations.get(self.data.train):
            return []
        split = self._try(lambda: read_split(self.data, HOLDOUT), "settings")
        return [] if split is None else [f"held out: {len(split)} videos of {self.data.train} neither train nor fill "
                                         "the memory"]

    def _check_roles(self) -> None:
        known = ", ".join(self.data.annotations) or "none"
        for role in ("train", "select", "report"):
            split = getattr(self.data, role)
            free = not split and not self.config.train.evaluates  # nothing is evaluated: only train is needed
            if (role == "select" and self.data.holdout) or (role != "train" and free):
                continue
            if not self.data.annotations.get(split):
                self._report(True, "settings", f"data.{role} is split {split!r}, which has no annotation file",
                             f"list it in data.annotations (known splits: {known})")

    def _check_file(self, split: str, file: str, videos: dict[str, Video]) -> tuple[str | int | None, ...]:
        teaches = self.data.target == "captions" and (split == self.data.train or split in self.config.memory.source)
        count = {name: self._report_items(is_error, file, what, found, remedy)
                 for name, (is_error, what, found, remedy) in _events(videos, teaches).items()}
        captions = sum(len(video.events) for video in videos.values())
        silent = [video.id for video in videos.values() if not video.events]
        if teaches and not captions:
            self._report(True, file, "no captions to learn from", "give at least one event with a sentence")
        elif teaches:
            self._report_items(False, file, "videos without events", silent,
                               "the captioner learns to predict no events for them; remove them if not intended")
        same = _same_youtube_id(videos)
        self._report_items(False, file, "videos share their YouTube id with another one", same,
                           "correct for several annotators (ViTT); otherwise remove duplicates")
        no_features, bad_features = self._check_features(split, file, videos)
        return (split, file, len(videos), captions, count["empty"], count["past end"], count["reversed"],
                count["negative"], count["zero length"], no_features, bad_features,
                self._check_speech(split, file, videos))

    def _check_features(self, split: str, file: str, videos: dict[str, Video]) -> tuple[int | None, int | None]:
        if self.features is None:
            return None, None
        missing = self.features.missing(videos)
        skip = self.data.missing_features == "skip" and len(missing) < len(videos)
        self._report_items(not skip, file, f"of {len(videos)} videos have no features in {self.features.path}",
                           missing, "they are left out" if skip else "extract them, or set data.missing_features: skip")
        if not self.deep:
            return len(missing), None
        present = sorted(set(videos) - set(missing))
        for video_id in tqdm(present, desc=f"features {split}"):
            if video_id not in self.seen:
                self.seen[video_id] = _read_features(self.features, video_id)
        bad = [video_id for video_id in present if self.seen[video_id][1]]
        self._report_items(True, file, "videos with unusable features", bad,
                           f"the first: {self.seen[bad[0]][1]}" if bad else "")
        odd = [f"{video_id} ({self.seen[video_id][0]} rows, {videos[video_id].duration:g} s)" for video_id in present
               if not self.seen[video_id][1] and _differs(self.seen[video_id][0], videos[video_id].duration)]
        self._report_items(False, file, "videos whose features do not match their duration", odd,
                           f"is data.feature_fps = {self.data.feature_fps:g} the store's number of rows per second?")
        return len(missing), len(bad)

    def _check_speech(self, split: str, file: str, videos: dict[str, Video]) -> int | None:
        if self.speech is None:
            return None
        without, bad = [], []
        for video in tqdm(videos.values(), desc=f"speech {split}", disable=not self.deep):
            try:
                if video.id not in self.speech or (self.deep and not self.speech.get(video.id, video.duration)):
                    without.append(video.id)
            except UserError as error:
                bad.append((video.id, str(error)))
        self._report_items(True, file, "videos with unusable speech", [video_id for video_id, _ in bad],
                           f"the first: {bad[0][1]}" if bad else "")
        self._report_items(False, file, f"of {len(videos)} videos have no speech in {self.speech.path}", without,
                           "correct if nobody speaks; otherwise transcribe them")
        return len(without)

    def _check_leak(self, ids: dict[str, set[str]]) -> None:
        for split in dict.fromkeys((self.data.select, self.data.report)):
            if split not in ("", self.data.train):
                both = sorted(ids[self.data.train] & ids[split])
                self._report_items(False, "settings", f"videos are in {self.data.train} and in {split}", both,
                                   f"remove them from {self.data.train}: scores on {split} would be too high")

    def _open_features(self) -> Features | None:
        where = self.data.features or "settings"
        listed: dict[str, str] = {}
        for file in (file for files in self.data.annotations.values() for file in files if file.endswith(".csv")):
            with contextlib.suppress(UserError):  # reported where the videos of the file are read
                listed |= read_listing(file)
        features = self._try(lambda: open_features(self.data.features, self.data.feature_fps, listed,
                                                   self.data.feature_array), where)
        return features if features is not None and self._try(lambda: features.width, where) is not None else None

    def _try(self, read: Callable, file: str):
        """What ``read`` returns; if it raises UserError, None, with the message in the report."""
        try:
            return read()
        except UserError as error:
            self._report(True, file, message_of(error).removeprefix(f"{file}: "))
            return None

    def _report(self, is_error: bool, file: str, what: str, remedy: str = "") -> None:
        self.problems.append(Problem(is_error, file, what, (), remedy))

    def _report_items(self, is_error: bool, file: str, what: str, items: Sequence[str], remedy: str) -> int:
        """Report a problem of ``items``, if there are any: "<number of items> <what>: <items>; <remedy>"."""
        if items:
            self.problems.append(Problem(is_error, file, f"{len(items)} {what}", tuple(items), remedy))
        return len(items)


def _events(videos: dict[str, Video], teaches: bool) -> dict[str, tuple[bool, str, list[str], str]]:
    """By column: whether it is an error, the problem, the events that have it, and the remedy."""
    found: dict[str, list[str]] = defaultdict(list)
    for video in videos.values():
        for i, event in enumerate(video.events):
            start, end, name = event.span.start, event.span.end, f"{video.id} event {i}"
            for column, applies in (("empty", not event.text.strip()), ("past end", max(start, end) > video.duration),
                                    ("reversed", end < start), ("negative", min(start, end) < 0),
                                    ("zero length", start == end)):
                if applies:
                    found[column].append(name)
    remedies = {
        "empty": (teaches, "empty captions", "remove these events with their times, or write a caption"),
        "past end": (False, "events past the video's end", "they are clamped to it; is the duration right?"),
        "reversed": (False, "events that end before they start", "swap their times, or remove them"),
        "negative": (False, "events that start before 0 s", "they are clamped to 0 s; correct the times"),
        "zero length": (False, "events that last 0 s", "no prediction can overlap them; correct the times"),
    }
    return {column: (is_error, what, found[column], remedy)
            for column, (is_error, what, remedy) in remedies.items()}


def _same_youtube_id(videos: Iterable[str]) -> list[str]:
    groups = defaultdict(list)
    for video_id in videos:
        groups[youtube_id(video_id)].append(video_id)
    return [video_id for group in groups.values() if len(group) > 1 for video_id in group]


def _read_features(features: Features, video_id: str) -> tuple[int, str]:
    """Rows of a video's features and what is wrong with them ('' for nothing)."""
    try:
        return len(features.read(video_id)), ""
    except UserError as error:
        return 0, str(error)


def _differs(rows: int, seconds: float) -> bool:
    """Whether one row per second is implausible: off by more than 10 s and by a factor above 1.5."""
    return abs(rows - seconds) > 10 and not 1 / 1.5 <= rows / seconds <= 1.5
