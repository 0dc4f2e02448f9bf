"""Work through video files one by one: a broken one is recorded, the others go on, and the end says what became of all.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.errors import UserError
from hicm.exports import Refused
from hicm.files import read_text, write_text
from hicm.loading import NoModel
from hicm.locks import holding

SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv")
FAILED = "failed.jsonl"


@dataclass(frozen=True)
class Summary:
    """What became of the videos, by name; printed at the end."""

    out: Path
    verb: str  # captioned, transcribed, ...
    done: tuple[str, ...]
    skipped: tuple[str, ...]  # done by an earlier call
    failed: tuple[str, ...]
    refused: tuple[str, ...]  # done, but not written in every format
    records: Path  # of the failures

    @property
    def ok(self) -> bool:
        return not self.failed and not self.refused

    def __str__(self) -> str:
        parts = [f"{len(self.done) + len(self.refused)} {self.verb}"]
        parts += [f"{len(self.refused)} of them not in every format (see {self.records})"] if self.refused else []
        parts += [f"{len(self.skipped)} already there"] if self.skipped else []
        parts += [f"{len(self.failed)} failed (see {self.records})"] if self.failed else []
        return f"{self.out}: {', '.join(parts)}"


def each_video(videos: Sequence[Path], work: Callable[[Path], bool], out: Path, verb: str,
               records: Path | None = None) -> Summary:
    """Call ``work`` for every video; it returns whether there was anything left to do.

    A UserError is printed and recorded in ``records`` (default: ``out/failed.jsonl``), a line {video, reason} each; the
    line goes when a later call succeeds.  NoModel is raised: the next video would meet it, too.
    """
    records = records or out / FAILED
    done: list[str] = []
    skipped: list[str] = []
    failed: list[str] = []
    refused: list[str] = []
    for video in videos:
        try:
            (done if work(video) else skipped).append(video.stem)
            _record(records, video, None)
        except NoModel:
            raise
        except UserError as error:
            print(error, file=sys.stderr)
            _record(records, video, str(error))
            (refused if isinstance(error, Refused) else failed).append(video.stem)
    return Summary(out, verb, tuple(done), tuple(skipped), tuple(failed), tuple(refused), records)


def _record(records: Path, video: Path, reason: str | None) -> None:
    """Replace the line of a video, or remove it without a reason; other processes may do the same for their videos."""
    if reason is None and not records.exists():
        return
    with holding(records.with_name(f".{records.name}.lock"), "hicm", wait=True):
        before = read_text(records).splitlines() if records.exists() else []
        lines = [line for line in before if not _is_of(line, video)]
        if reason is not None:
            lines.append(json.dumps({"video": str(video), "reason": reason}))
        if not lines:
            records.unlink(missing_ok=True)
        elif lines != before:
            write_text(records, "".join(f"{line}\n" for line in lines))


def _is_of(line: str, video: Path) -> bool:
    try:
        return json.loads(line)["video"] == str(video)
    except (ValueError, TypeError, KeyError):  # torn
        return True


def find_videos(given: Sequence[str], shard: str = "") -> list[Path]:
    """Video files as given, and those of folders by their ending, sorted; of ``shard`` i/n every n-th from the i-th.

    Raises UserError when one is missing, a folder has none, two have one name, or ``shard`` is not of that form.
    """
    found: list[Path] = []
    for path in map(Path, given):
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not path.exists():
            raise UserError(f"{path}: video not found; give a video file or a folder of them")
        if not inside:
            raise UserError(f"{path}: no video in this folder; expected files ending in {', '.join(SUFFIXES)}")
        found += inside
    stems: dict[str, Path] = {}
    for file in found:
        if stems.setdefault(file.stem, file) != file:
            raise UserError(f"{file}: would be written under the name of {stems[file.stem]}; rename one, or give "
                            "each its own --out")
    return _share(list(stems.values()), shard)


def _share(videos: list[Path], shard: str) -> list[Path]:
    if not shard:
        return videos
    number, _, count = shard.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UserError(f"--shard {shard}: expected i/n with 1 <= i <= n, e.g. 2/8 for the second of eight")
    return videos[int(number) - 1::int(count)]
