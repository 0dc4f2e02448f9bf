"""A ``.jsonl`` file: a line per segment of one video (faster-whisper), or lines that name their video."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hicm.errors import UserError
from hicm.files import read_text

SUFFIXES = (".jsonl", ".ndjson")
NAMES = ("video_id", "video", "id")  # keys of a line that may name its video


def read_file(path: Path) -> Any:
    """One video's segments, or where every line names a video, entries by video id."""
    lines = []
    for number, line in enumerate(read_text(path, "speech file").split("\n"), start=1):
        if line.strip():
            try:
                lines.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}: line {number}: not valid json ({error}); is the file complete?") from error
    return by_video(lines, str(path))


def by_video(lines: Sequence[Any], where: str) -> Any:
    """``lines`` as entries by video id if each names its video, else ``lines`` themselves.

    A line is a segment of its video, or all there is of it.  Raises UserError for a video with two entries.
    """
    named = [(name, line) for line in lines if (name := _video(line)) is not None]
    if not lines or len(named) < len(lines):
        return list(lines)
    entries: dict[str, Any] = {}
    for name, line in named:
        if isinstance(line.get("text"), str) and "start" in line:
            entries.setdefault(name, []).append(line)
        elif name in entries:
            raise UserError(f"{where}: video {name} occurs twice; keep one")
        else:
            entries[name] = line
    return entries


def _video(line: Any) -> str | None:
    if not isinstance(line, Mapping):
        return None
    return next((line[name] for name in NAMES if isinstance(line.get(name), str)), None)
