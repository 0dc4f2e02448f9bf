"""Everything that is wrong with a data set, in every split and file, before hours of training are spent on it."""

import contextlib
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from hicm.config import HOLDOUT, Config
from hicm.data.annotations import annotators, read_annotations, read_split
from hicm.data.catalogue import compare_counts, message_of
from hicm.data.features import Features
from hicm.data.findings import Finding, Level, Look, look_at, of_features
from hicm.data.holdout import describe_selection
from hicm.data.ids import is_clip, no_match, youtube_id
from hicm.data.joined import open_all
from hicm.data.pretraining import read_listing
from hicm.data.speech import open_speech
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.memory.bank import TEXTS, load_bank
from hicm.retrieval.sentences import refuse_other_encoder
from hicm.rooms import check_settings, memory_need, room_findings, start_files
from hicm.stages.check_report import COLUMNS, Problem, Report
from hicm.stages.origins import needs_bank
from hicm.types import Video

__all__ = ["COLUMNS", "check_data"]


def check_data(config: Config, deep: bool = False) -> Report:
    """Check every annotation file of every split, the features and speech of its videos, and whether the memory fits.

    ``deep`` reads every array and transcript, and counts what the system does not get from them (minutes for a large
    data set); otherwise only their presence is checked.  Never raises UserError: what readers refuse becomes an error
    in the report.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _Check(config, deep, Path(scratch)).run()


class _Check:
    def __init__(self, config: Config, deep: bool, scratch: Path):
        self.config, self.data, self.deep, self.scratch = config, config.data, deep, scratch
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.looks: dict[str, Look] = {}  # by video
        self.features = self._open_features()
        self.speech = self._try(lambda: open_speech(self.data.speech), self.data.speech)

    def run(self) -> Report:
        self._check_roles()
        rows: list[tuple[str | int | None, ...]] = []
        counts: list[tuple[str, str, int, int]] = []
        ids: defaultdict[str, set[str]] = defaultdict(set)
        for split, files in self.data.annotations.items():
            for file, durations in annotators(files):
                mended: list[str] = []
                videos = self._try(lambda split=split, file=file, durations=durations, mended=mended: read_annotations(
                    file, self._needs_captions(split), mended, durations), file)
                if videos is not None:
                    self._report_items("warning", file, "captions with control characters or halves of characters",
                                       mended, "they are read as blanks")
                    rows.append(self._check_file(split, file, videos))
                    counts.append((split, file, len(videos), sum(len(video.queries or video.events)
                                                                 for video in videos.values())))
                    ids[split].update(map(youtube_id, videos))
        self._check_leak(ids)
        self._check_bank()
        self._try(lambda: check_settings(self.config), "settings")
        self._try(lambda: _check_scores(self.config), "settings")
        for setting, path in start_files(self.config.system, self.config.room).items():
            if not Path(path).exists():
                without = getattr(type(self.config.room)(), setting.partition(".")[2], None) == ""
                self._report("error", "settings", f"{setting}: {path} not found", "get it, or " + (
                    f"train without it: {setting}= (empty)" if without else "correct the setting"))
        notes = [f"selection: {describe_selection(self.config)}", *self._count_held_out()]
        notes += compare_counts(self.data.name, counts, len(set().union(*ids.values())))
        if self.speech is not None and self.speech.mended:
            notes.append(f"speech: {self.speech.mended} segments hold control characters or halves of characters, "
                         "which are read as blanks")
        return Report(tuple(rows), tuple(sorted(self.problems, key=lambda problem: not problem.is_error)),
                      (*notes, *dict.fromkeys(self.notes)))

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
                self._report("error", "settings", f"data.{role} is split {split!r}, which has no annotation file",
                             f"list it in data.annotations (known splits: {known})")

    def _teaches(self, split: str) -> bool:
        return self.data.target == "captions" and (split == self.data.train or split in self.config.memory.source)

    def _needs_captions(self, split: str) -> bool:
        return self._teaches(split) or self._selects(split)

    def _selects(self, split: str) -> bool:
        return self.config.train.evaluates and split == self.data.select

    def _check_file(self, split: str, file: str, videos: dict[str, Video]) -> tuple[str | int | None, ...]:
        count = {name: self._report_items(level, file, what, found, remedy)
                 for name, (level, what, found, remedy) in _events(videos, self._teaches(split)).items()}
        captions = sum(len(video.events) for video in videos.values())
        self._check_silent(split, file, [video.id for video in videos.values() if not video.events], captions)
        same = _same_youtube_id(videos)
        self._report_items("warning", file, "videos share their YouTube id with another one", same,
                           "correct for several annotators (ViTT); otherwise remove duplicates")
        no_features, bad_features = self._check_features(split, file, videos)
        no_speech = self._check_speech(split, file, videos)
        if self.deep and self.speech is not None:
            width = None if self.features is None else self.features.width
            self._report_findings(file, room_findings(self.config, split, list(videos.values()),
                                                     self.speech, width, self.scratch))
        return (split, file, len(videos), captions, count["empty"], count["past end"], count["reversed"],
                count["negative"], count["zero length"], no_features, bad_features, no_speech)

    def _check_silent(self, split: str, file: str, silent: list[str], captions: int) -> None:
        """Videos without events, of which there may be some where captions teach, none where they are scored."""
        if self._teaches(split):
            if not captions:
                self._report("error", file, "no captions to learn from", "give at least one event with a sentence")
            else:
                self._report_items("warning", file, "videos without events", silent, "the captioner learns to predict "
                                   "no events for them; remove them if not intended")
        elif self.data.target == "captions" and self._selects(split):
            self._report_items("error", file, "videos without events", silent, "they cannot be scored, which selects "
                               "the checkpoint; remove them")
        elif self.data.target == "captions" and not captions:
            self._report("warning", file, "no captions: 'hicm predict' needs none, 'hicm evaluate' does")
        elif self.data.target == "captions":
            self._report_items("warning", file, "videos without events", silent, "they can be captioned, not scored")

    def _check_features(self, split: str, file: str, videos: dict[str, Video]) -> tuple[int | None, int | None]:
        if self.features is None:
            return None, None
        features = self.features
        missing = self._try(lambda: features.missing(videos), str(features.path))
        if missing is None:  # damage, met while a video was looked for
            return None, None
        store = features.lacking(missing)
        skip = self.data.missing_features == "skip" and len(missing) < len(videos)
        remedy = "they are left out" if skip else "extract them, or set data.missing_features: skip"
        if len(missing) == len(videos):
            remedy = no_match(videos, store.keys(), store.path.name)
        self._report_items("warning" if skip else "error", file,
                           f"of {len(videos)} videos have no features in {store.path}", missing, remedy)
        if not self.deep:
            return len(missing), None
        present = sorted(set(videos) - set(missing))
        for video_id in tqdm(present, desc=f"features {split}"):
            if video_id not in self.looks:
                self.looks[video_id] = look_at(self.features, video_id)
        looks = {video_id: self.looks[video_id] for video_id in present}
        bad = [video_id for video_id in present if looks[video_id].error]
        self._report_items("error", file, "videos with unusable features", bad,
                           f"the first: {looks[bad[0]].error}" if bad else "")
        self._report_findings(file, filter(None, of_features(looks, videos, features.clock, features.stores)))
        return len(missing), len(bad)

    def _check_speech(self, split: str, file: str, videos: dict[str, Video]) -> int | None:
        if self.speech is None or self.speech.path is None:
            return None
        absent, silent, bad = [], [], []
        for video in tqdm(videos.values(), desc=f"speech {split}", disable=not self.deep):
            try:
                if video.id not in self.speech:
                    absent.append(video.id)
                elif self.deep and not self.speech.get(video.id, video.duration):
                    silent.append(video.id)
            except UserError as error:
                bad.append((video.id, str(error)))
        self._report_items("error", file, "videos with unusable speech", [video_id for video_id, _ in bad],
                           f"the first: {bad[0][1]}" if bad else "")
        none = len(absent) == len(videos)
        self._report_items("error" if none and split == self.data.train else "warning", file,
                           f"of {len(videos)} videos have no speech in {self.speech.path}", absent + silent,
                           no_match(videos, self.speech.keys(), self.speech.path.name) if none
                           else "correct if nobody speaks; otherwise transcribe them")
        return len(absent) + len(silent)

    def _check_leak(self, ids: dict[str, set[str]]) -> None:
        for split in dict.fromkeys((self.data.select, self.data.report)):
            if split not in ("", self.data.train):
                both = sorted(ids[self.data.train] & ids[split])
                self._report_items("warning", "settings", f"videos are in {self.data.train} and in {split}", both,
                                   f"remove them from {self.data.train}: scores on {split} would be too high")

    def _check_bank(self) -> None:
        """A bank that was built already must be as wide as the features, or of the encoder of sentences that search it.
        """
        if self.features is None or not needs_bank(self.config) or not (self.config.bank / TEXTS).exists():
            return
        bank = self._try(lambda: load_bank(self.config.bank), str(self.config.bank))
        if bank is not None and memory_need(self.config) == "sentences":
            self._try(lambda: refuse_other_encoder(bank, make_encoder(self.config.memory.encoder, self.config.offline),
                                                   self.config.bank), str(self.config.bank))
        elif bank is not None and bank.width != self.features.width:
            self._report("error", str(self.features.path), f"features are {self.features.width} wide and the memory "
                         f"bank {bank.width} ({self.config.bank})", "build the bank with the text encoder that belongs "
                         "to the features (memory.encoder)")

    def _open_features(self) -> Features | None:
        where = self.data.features or "settings"
        listed: dict[str, str] = {}
        for file in (file for files in self.data.annotations.values() for file in files if file.endswith(".csv")):
            with contextlib.suppress(UserError):  # reported where the videos of the file are read
                listed |= read_listing(file)
        features = self._try(lambda: open_all(self.data, listed), where)
        return features if features is not None and self._try(lambda: features.width, where) is not None else None

    def _try(self, read: Callable, file: str):
        """What ``read`` returns; if it raises UserError, None, with the message in the report."""
        try:
            return read()
        except UserError as error:
            self._report("error", file, message_of(error).removeprefix(f"{file}: "))
            return None

    def _report(self, level: Level, file: str, what: str, remedy: str = "") -> None:
        self._report_findings(file, [Finding(what, (), remedy, level)])

    def _report_items(self, level: Level, file: str, what: str, items: Sequence[str], remedy: str) -> int:
        """Report a problem of ``items``, if there are any: "<number of items> <what>: <items>; <remedy>"."""
        if items:
            self._report_findings(file, [Finding(what, tuple(items), remedy, level)])
        return len(items)

    def _report_findings(self, file: str, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if finding.level == "note":
                self.notes.append(str(finding))
            else:
                self.problems.append(Problem(file, finding))


def _check_scores(config: Config) -> None:
    """Raise UserError when a protocol or score in the settings is unknown to the task of the system."""
    from hicm.systems.base import find_system  # imports torch
    from hicm.tasks import find_task
    from hicm.training.metrics import check_asked, check_metric

    task = find_task(find_system(config.system).task)
    check_asked(config, task)
    if config.train.evaluates:
        check_metric(config, task)


def _events(videos: dict[str, Video], teaches: bool) -> dict[str, tuple[Level, str, list[str], str]]:
    """By column: the level, the problem, the events that have it, and the remedy."""
    found: dict[str, list[str]] = defaultdict(list)
    for video in videos.values():
        for i, event in enumerate(video.events):
            start, end, name = event.span.start, event.span.end, f"{video.id} event {i}"
            for column, applies in (("empty", not event.text.strip()), ("past end", max(start, end) > video.duration),
                                    ("reversed", end < start), ("negative", min(start, end) < 0),
                                    ("zero length", start == end)):
                if applies:
                    found[column].append(name)
    remedies: dict[str, tuple[Level, str, str]] = {
        "empty": ("error" if teaches else "warning", "empty captions",
                  "remove these events with their times, or write a caption"),
        "past end": ("warning", "events past the video's end", "correct the times, or the duration"),
        "reversed": ("warning", "events that end before they start", "swap their times, or remove them"),
        "negative": ("warning", "events that start before 0 s", "correct the times"),
        "zero length": ("warning", "events that last 0 s", "no prediction can overlap them; correct the times"),
    }
    return {column: (level, what, found[column], remedy) for column, (level, what, remedy) in remedies.items()}


def _same_youtube_id(videos: Iterable[str]) -> list[str]:
    groups = defaultdict(list)
    for video_id in videos:
        if not is_clip(video_id):
            groups[youtube_id(video_id)].append(video_id)
    return [video_id for group in groups.values() if len(group) > 1 for video_id in group]
