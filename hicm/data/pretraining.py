"""The two data sets that Vid2Seq is pre-trained on.

HowTo100M has no captions: a csv lists its videos and their feature files, and with ``data.target: speech`` the
captioner learns to write the transcript (the sentences of the TAN project, https://www.robots.ox.ac.uk/~vgg/research/
tan/).  VidChapters-7M has chapters: each is an event that lasts until the next one begins.
Source of both formats: the repository antoyang/VidChapters (dataset/yt_dataset.py, preproc/chapters_to_dvc.py).
"""

import csv
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hicm.data.ids import refuse_unusable_id
from hicm.errors import UserError, brief
from hicm.files import read_json, read_pickle, require, write_json

COLUMNS = ("video_id", "video_path")


def read_listing(path: str | Path) -> dict[str, str]:
    """A csv with columns video_id and video_path: id -> feature file relative to ``data.features``, in file order.

    Raises UserError naming file and line when a column, an id or a path is missing, or when a video occurs twice.
    """
    path = require(path, "list of videos", "put the data where data/README.md says, or correct data.annotations")
    found: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: no column {', '.join(missing)}; expected a header with "
                                f"{' and '.join(COLUMNS)}")
            for row in reader:
                video, file = ((row[name] or "").strip() for name in COLUMNS)
                if not video or not file:
                    raise UserError(f"{path}: line {reader.line_num}: video_id or video_path is empty; remove the line")
                refuse_unusable_id(video, f"{path}: line {reader.line_num}")
                if video in found:
                    raise UserError(f"{path}: line {reader.line_num}: video {video} occurs twice; keep one")
                found[video] = file
    except OSError as error:
        raise UserError(f"{path}: list of videos cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: list of videos is not a csv file in UTF-8 ({error})") from error
    if not found:
        raise UserError(f"{path}: lists no videos; expected one line per video below {','.join(COLUMNS)}")
    return found


def convert_chapters(chapters: str | Path, split: str | Path, out: str | Path) -> Counter[str]:
    """Write the annotations of one split of VidChapters-7M in our format to ``out``.

    ``chapters``: .json or .pkl ``{video id: {"duration": s, "chapters": [{"time": s, "label": str}, ...]}}``;
    ``split``: .json list of video ids.  Returns the counts of "videos", "chapters", "chapters with impossible times",
    and of the videos left out, by reason.  A chapter with impossible times is dropped together with its title; the
    published script keeps the title and so shifts all later ones.
    """
    chapters = require(chapters, "chapters", "it comes with VidChapters-7M, see data/README.md")
    read = read_pickle if chapters.suffix in (".pkl", ".pickle") else read_json
    for name in (chapters, split):
        if Path(out).exists() and Path(out).samefile(name):
            raise UserError(f"{out}: is the input {name}, which would be lost; name another file to write")
    content, ids = read(chapters, "chapters"), read_json(split, "list of video ids")
    if not isinstance(content, dict) or not content:
        raise UserError(f"{chapters}: expected {{video id: {{duration, chapters}}}}, found {type(content).__name__}")
    if not isinstance(ids, list) or not all(isinstance(video, str) for video in ids):
        raise UserError(f"{split}: expected a list of video ids")
    counts: Counter[str] = Counter()
    made = {}
    for video in dict.fromkeys(ids):
        entry, reason = _annotated(content.get(video), f"{chapters}: video {video}", counts)
        if entry is None:
            counts[reason] += 1
        else:
            made[video] = entry
            counts["videos"] += 1
            counts["chapters"] += len(entry["sentences"])
    if not made:
        raise UserError(f"{chapters}: has no usable video of {split} ({_listed(counts)}); do the two belong together?")
    write_json(out, made, indent=None)
    return counts


def _annotated(entry: Any, where: str, counts: Counter[str]) -> tuple[dict[str, Any] | None, str]:
    """One video in our format, or None and why it is left out."""
    if entry is None:
        return None, "without chapters"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("chapters"), list):
        raise UserError(f"{where}: expected {{duration, chapters: [{{time, label}}, ...]}}")
    duration = entry.get("duration")
    if duration is None:
        return None, "without duration"
    times, titles = [], []
    for i, chapter in enumerate(entry["chapters"]):
        if not isinstance(chapter, Mapping) or not isinstance(chapter.get("label"), str):
            raise UserError(f"{where}: chapters[{i}]: expected {{time, label}}, found {brief(chapter)}")
        times.append(_seconds(chapter.get("time"), f"{where}: chapters[{i}].time"))
        titles.append(chapter["label"].strip())
    if not all(any(letter.isalnum() for letter in title) for title in titles):
        return None, "with a title without text"
    ends = [*times[1:], _seconds(duration, f"{where}: duration")]
    events = [([start, end], title) for start, end, title in zip(times, ends, titles, strict=True)
              if 0 <= start <= end <= ends[-1]]
    counts["chapters with impossible times"] += len(titles) - len(events)
    if not events or ends[-1] <= 0:
        return None, "without a chapter inside the video"
    return {"duration": ends[-1], "timestamps": [span for span, _ in events],
            "sentences": [title for _, title in events]}, ""


def _seconds(value: Any, where: str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds) or isinstance(value, bool):
        raise UserError(f"{where}: expected a number of seconds, found {brief(value)}")
    return seconds


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "it lists none"
