"""Automatic speech recognition: timed segments of a video's speech.

Read from one ``.pkl`` or ``.json`` file {id: entry}, or from a folder with ``<id>.pkl`` / ``<id>.json``.  An entry is
``{"start": [s], "end": [s], "text": [str]}`` (VidChapters), or WhisperX's own ``{"segments": [{"start", "end",
"text"}, ...]}``, as it remains for videos whose alignment failed.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.ids import candidates
from hicm.errors import UserError, brief
from hicm.files import is_file, read_json, read_pickle, require

READERS = {".pkl": read_pickle, ".pickle": read_pickle, ".json": read_json}


@dataclass(frozen=True)
class Speech:
    """The segments of one video in file order; start and end in seconds."""

    start: tuple[float, ...] = ()
    end: tuple[float, ...] = ()
    text: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.text)


class SpeechStore:
    """Speech by video id, whatever the prefix of the id; see `open_speech`."""

    def __init__(self, path: str | Path = ""):
        self.path = Path(path) if str(path) else None
        self._entries: dict[str, Any] = {}
        self._folder: Path | None = None  # of one file per video
        if self.path is None:
            return
        require(self.path, "speech", "set data.speech, or leave it empty to work without speech")
        if self.path.is_dir():
            self._folder = self.path
        else:
            self._entries = _read(self.path)
            if not isinstance(self._entries, dict) or isinstance(self._entries.get("segments"), list):
                raise UserError(f"{self.path}: expected {{video id: {{start, end, text}}}}; the transcript of one "
                                "video belongs in a folder, as <video id>.json")

    def __contains__(self, video_id: str) -> bool:
        return self._find(video_id) is not None

    def all(self, video_id: str) -> Speech:
        """All stored segments of the video, unchanged; empty for a video without an entry.

        Raises UserError naming file, video and segment when the entry is malformed.
        """
        found = self._find(video_id)
        if found is None:
            return Speech()
        source, entry = (found, _read(found)) if isinstance(found, Path) else (self.path, self._entries[found])
        return _speech(entry, f"{source}: video {video_id}")

    def get(self, video_id: str, duration: float) -> Speech:
        """The segments that the model gets: 0 <= start, end <= duration (seconds; NaN: any), text not blank.

        A segment that crosses the end is dropped as a whole, as in VidChapters.  A video without an entry has no
        speech.
        """
        speech = self.all(video_id)
        duration = math.inf if math.isnan(duration) else duration
        kept = [(start, end, text) for start, end, text in zip(speech.start, speech.end, speech.text, strict=True)
                if 0 <= start < math.inf and end <= duration and math.isfinite(end) and text.strip()]
        return Speech(*map(tuple, zip(*kept, strict=True))) if kept else Speech()

    def duration(self, video_id: str) -> float | None:
        """The video's duration in seconds if its entry has it (HowTo100M), else None."""
        found = self._find(video_id)
        entry = _read(found) if isinstance(found, Path) else self._entries[found] if found is not None else None
        seconds = entry.get("duration") if isinstance(entry, dict) else None
        if seconds is not None and not (_is_time(seconds) and 0 < seconds < math.inf):
            raise UserError(f"{self.path}: video {video_id}: duration: expected seconds > 0, found {brief(seconds)}")
        return None if seconds is None else float(seconds)

    def fingerprint(self, video_ids: Iterable[str]) -> str:
        """Digest of the stored speech of these videos, the same wherever and in whatever form the store lies."""
        found = hashlib.sha256()
        for video_id in video_ids:
            speech = self.all(video_id)
            content = video_id, speech.start, speech.end, speech.text, self.duration(video_id)
            found.update(repr(content).encode("utf-8", "surrogatepass"))
        return found.hexdigest()

    def _find(self, video_id: str) -> str | Path | None:
        """The key of the video's entry, or its file if the store is a folder."""
        if self._folder is None:
            return next((name for name in candidates(video_id) if name in self._entries), None)
        files = (self._folder / f"{name}{suffix}" for name in candidates(video_id) for suffix in READERS)
        return next((file for file in files if is_file(file)), None)


def open_speech(path: str | Path) -> SpeechStore:
    """The speech at ``path``; an empty path gives a store without any speech.

    Raises UserError when the path is missing or unreadable, or a pickle that holds more than plain data.
    """
    return SpeechStore(path)


def _read(path: Path) -> Any:
    reader = READERS.get(path.suffix)
    if reader is None:
        raise UserError(f"{path}: expected speech as {', '.join(READERS)} or a folder of such files")
    return reader(path, "speech file")


def _speech(entry: Any, where: str) -> Speech:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected {{start, end, text}} or {{segments}}, found {type(entry).__name__}")
    if "segments" in entry and "text" not in entry:
        segments = entry["segments"]
        if not isinstance(segments, Sequence) or not all(isinstance(segment, dict) for segment in segments):
            raise UserError(f"{where}: segments: expected a list of {{start, end, text}}")
        columns = {key: [segment.get(key) for segment in segments] for key in ("start", "end", "text")}
    else:
        columns = entry
    for key in ("start", "end", "text"):
        value = columns.get(key)
        if not isinstance(value, list | tuple | np.ndarray) or (isinstance(value, np.ndarray) and value.ndim != 1):
            raise UserError(f"{where}: {key}: expected a list; see data/README.md for the format")
    start, end, text = columns["start"], columns["end"], columns["text"]
    if not len(start) == len(end) == len(text):
        raise UserError(f"{where}: expected lists of equal length, found {len(start)} starts, {len(end)} ends and "
                        f"{len(text)} texts; transcribe the video again")
    for i, segment in enumerate(zip(start, end, text, strict=True)):
        if not (_is_time(segment[0]) and _is_time(segment[1]) and isinstance(segment[2], str)):
            raise UserError(f"{where}: segment {i}: expected start and end in seconds and text, found {brief(segment)}")
    return Speech(tuple(map(float, start)), tuple(map(float, end)), tuple(map(str, text)))


def _is_time(value: Any) -> bool:
    """A number, NaN included: segments with an aligner's NaN are dropped later, the file need not be refused."""
    return isinstance(value, float | np.floating) or (
        isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) < 1 << 63)
