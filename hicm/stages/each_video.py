"""Process video files one by one: a broken one is recorded, the others continue, and a summary ends it."""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hicm.errors import UserError, printable
from hicm.executors import DONE, FAILED, REFUSED, SKIPPED, Executor, Job, Outcome, in_process, replay
from hicm.stages.failures import Failures

SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv")
SOUND_SUFFIXES = (".wav", ".mp3", ".flac", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wma")
RECORDS = "failed.jsonl"


@dataclass(frozen=True)
class Summary:
    """The outcomes of all videos, by name; printed at the end."""

    out: Path
    verb: str  # captioned, transcribed, ...
    done: tuple[str, ...]
    skipped: tuple[str, ...]  # done by an earlier call
    failed: tuple[str, ...]
    refused: tuple[str, ...]  # done, but not written in every format
    records: Path  # of the failures
    results: Mapping[Path, Any] = field(default_factory=dict, repr=False)  # of what was done, by video

    @property
    def ok(self) -> bool:
        return not self.failed and not self.refused

    def __str__(self) -> str:
        parts = [f"{len(self.done) + len(self.refused)} {self.verb}"]
        parts += [f"{len(self.refused)} of them not in every format (see {self.records})"] if self.refused else []
        parts += [f"{len(self.skipped)} already there"] if self.skipped else []
        parts += [f"{len(self.failed)} failed (see {self.records})"] if self.failed else []
        return printable(f"{self.out}: {', '.join(parts)}")


def each_video(videos: Sequence[Path], job: Job, out: Path, verb: str, records: Path | None = None,
               executor: Executor = in_process) -> Summary:
    """Let ``executor`` do the work on every video; the result of a video is false if there was nothing left to do.

    A UserError is printed and recorded in ``records`` (default: ``out/failed.jsonl``), a line {video, stage, reason}
    each, and so is the death of a worker; a later call that succeeds removes the line (`hicm.stages.failures`).  Raises
    NoModel, which every video would raise.
    """
    records = records or out / RECORDS
    failures = Failures(records)
    found: dict[Path, Outcome] = {}
    hidden = None if len(videos) > 1 else True  # None: unless standard error is a terminal
    with (tqdm(total=len(videos), desc=verb, unit="video", disable=hidden) as bar,
          contextlib.closing(executor(job, videos)) as outcomes):
        for outcome in outcomes:
            with bar.external_write_mode(sys.stderr):
                replay(outcome.messages, outcome.video.name)
                if outcome.reason:
                    print(outcome.reason, file=sys.stderr)
            failures.note(outcome.video, outcome.reason or None, outcome.stage)
            found[outcome.video] = outcome
            bar.update()
    results = {video: found[video].result for video in videos if found[video].state == DONE}
    done, skipped, failed, refused = (tuple(video.stem for video in videos if found[video].state == state)
                                      for state in (DONE, SKIPPED, FAILED, REFUSED))
    return Summary(out, verb, done, skipped, failed, refused, records, results)


def find_videos(given: Sequence[str], shard: str = "", suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Files as given, and those of folders by their ending, sorted; of ``shard`` i/n every n-th from the i-th.

    In folders, files whose names begin with a dot are ignored, such as the ``._talk.mp4`` that macOS leaves.

    Raises UserError when one is missing, a folder has none, two have one name, or ``shard`` is not of that form.
    """
    found: list[Path] = []
    if "" in given:
        raise UserError("an empty name among the videos; give a video file or a folder of them")
    for path in map(Path, given):
        inside = _inside(path, suffixes) if path.is_dir() else [path]
        if not path.exists():
            raise UserError(f"{path}: video not found; give a video file or a folder of them")
        if not inside:
            raise UserError(f"{path}: no video in this folder; expected files ending in {', '.join(suffixes)}")
        found += inside
    stems: dict[str, Path] = {}
    for file in found:
        before = stems.setdefault(file.stem, file)
        if os.path.realpath(before) != os.path.realpath(file):
            raise UserError(f"{file}: would be written under the name of {before}; rename one, or give "
                            "each its own --out")
    return _share(list(stems.values()), shard)


def _inside(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir()
                      if file.suffix.lower() in suffixes and not file.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error


def _share(videos: list[Path], shard: str) -> list[Path]:
    if not shard:
        return videos
    number, _, count = shard.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UserError(f"--shard {shard}: expected i/n with 1 <= i <= n, e.g. 2/8 for the second of eight")
    return videos[int(number) - 1::int(count)]
