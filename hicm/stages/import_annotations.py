"""Annotations from files of editors, with the durations of their videos."""

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hicm.data.imports import import_annotations
from hicm.errors import UserError, brief, printable
from hicm.files import read_json, read_text, require
from hicm.outputs import output_file
from hicm.stages.each_video import find_videos


def import_files(form: str, files: Iterable[str], out: str, durations: str = "", videos: str = "",
                 overwrite: bool = False) -> str:
    """Write the annotations of ``files`` (`hicm.data.imports`) to ``out``; returns what to print.

    ``durations``: a csv or json file, or a folder that hicm caption wrote; ``videos``: a folder of video files.  Raises
    UserError as `import_annotations` does, and when ``out`` is an input or cannot be written.
    """
    files = list(files)
    if "" in files:
        raise UserError("an empty name among the files; give files to import")
    for path in (*files, *([durations] if durations else [])):
        if Path(out).exists() and Path(path).exists() and Path(out).samefile(path):
            raise UserError(f"{out}: is the input {path}, which would be lost; choose another --out")
    counts = import_annotations(form, files, output_file(out), _finder(durations, videos), overwrite)
    return printable(f"{out}: {counts['videos']} videos, {counts['events']} events")


def _finder(durations: str, videos: str) -> Callable[[str], tuple[str, float] | None]:
    """The ``durations`` of `import_annotations`.  A name such as ``talk.en`` may stand for the video ``talk``."""
    known = read_durations(Path(durations)) if durations else {}
    files = {file.stem: file for file in find_videos([videos])} if videos else {}

    def find(video: str) -> tuple[str, float] | None:
        from hicm.video.facts import read_facts

        for name in (video, video.rpartition(".")[0]):
            if name in known:
                return name, known[name]
            if name in files:
                return name, read_facts(files[name]).duration
        return None

    return find


def read_durations(path: Path) -> dict[str, float]:
    """Seconds by video id.

    From a csv file with columns video and duration, a json file {id: seconds} or {id: {"duration": seconds}}, or a
    folder with what hicm caption wrote.  Raises UserError naming file and video for anything else.
    """
    require(path, "durations", "give a csv or json file, or a folder that hicm caption wrote")
    if path.is_dir():
        found = {file: read_json(file, "captions") for file in sorted(path.glob("*.json"))}
        pairs = [(file, one["video"], one.get("duration")) for file, one in found.items()
                 if isinstance(one, dict) and isinstance(one.get("video"), str)]
    elif path.suffix.lower() == ".csv":
        pairs = [(path, row["video"], row["duration"]) for row in _rows(path)]
    else:
        content = read_json(path, "durations")
        if not isinstance(content, dict):
            raise UserError(f"{path}: expected {{video id: seconds}}, found {type(content).__name__}")
        pairs = [(path, video, one.get("duration") if isinstance(one, dict) else one)
                 for video, one in content.items()]
    if not pairs:
        raise UserError(f"{path}: no durations in it; give a csv or json file, or a folder that hicm caption wrote")
    return {video: _seconds(value, f"{file}: video {video}") for file, video, value in pairs}


def _rows(path: Path) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        found = list(rows)
    except csv.Error as error:
        raise UserError(f"{path}: line {rows.line_num}: is not csv ({error})") from error
    if not {"video", "duration"} <= set(rows.fieldnames or ()) or any(row["video"] is None for row in found):
        raise UserError(f"{path}: expected columns video and duration")
    return found


def _seconds(value: Any, where: str) -> float:
    try:
        found = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = 0.0
    if not 0 < found < float("inf"):
        raise UserError(f"{where}: duration: expected seconds > 0, found {brief(value)}")
    return found
