"""Speech by video id: one file with the entries of all videos, or a folder with a file per video."""

import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.data.ids import VIDEO_ENDINGS, stored_id
from hicm.data.speech.formats import is_entry, read_entry, readers
from hicm.data.speech.segments import Speech, is_time
from hicm.data.text import mend
from hicm.errors import UserError, brief
from hicm.files import require

LANGUAGE = re.compile(r"\.[a-z]{2,3}(-[a-z0-9]+)*$", re.IGNORECASE)  # <id>.en.vtt, <id>.zh-Hans.srt, <id>.en-orig.vtt
SOUND_ENDINGS = (".wav", ".mp3", ".m4a", ".flac")


class SpeechStore:
    """Speech by video id, whatever the prefix of the id; see `open_speech`."""

    def __init__(self, path: str | Path = ""):
        self.path = Path(path) if str(path) else None
        self._mended: dict[str | Path, int] = {}  # entry -> segments whose text was (`hicm.data.text.mend`)
        self._entries: dict[str, Any] = {}
        self._folder: Path | None = None  # of one file per video
        if self.path is None:
            return
        require(self.path, "speech", "set data.speech, or leave it empty to work without speech")
        if self.path.is_dir():
            self._folder = self.path
        else:
            self._entries = _read(self.path)
            if not isinstance(self._entries, dict) or is_entry(self._entries):
                raise UserError(f"{self.path}: expected {{video id: {{start, end, text}}}}; the transcript of one "
                                f"video belongs in a folder, as <video id>{self.path.suffix}")

    @classmethod
    def of(cls, entries: dict[str, Any]) -> "SpeechStore":
        """A store of entries in memory, by video id."""
        store = cls()
        store._entries = entries
        return store

    def __contains__(self, video_id: str) -> bool:
        return self._find(video_id) is not None

    def keys(self) -> Iterator[str]:
        """The ids as they are written in the store."""
        return iter(self._entries if self._folder is None else self._files)

    @property
    def mended(self) -> int:
        """How many of the segments read so far had control characters or halves of characters."""
        return sum(self._mended.values())

    def all(self, video_id: str) -> Speech:
        """All stored segments of the video; empty for a video without an entry.

        Raises UserError naming file, video and segment when the entry is malformed.
        """
        found = self._find(video_id)
        if found is None:
            return Speech()
        source, entry = (found, _read(found)) if isinstance(found, Path) else (self.path, self._entries[found])
        speech = read_entry(entry, f"{source}: video {video_id}")
        text = tuple(map(mend, speech.text))
        self._mended[found] = sum(new is not old for new, old in zip(text, speech.text, strict=True))
        return Speech(speech.start, speech.end, text)

    def get(self, video_id: str, duration: float) -> Speech:
        """The segments that the model gets: 0 <= start, end <= duration (seconds; NaN: any), text not blank.

        A segment that crosses the end is dropped as a whole, as in VidChapters; one without an end ends with the video.
        A video without an entry has no speech.
        """
        speech = self.all(video_id)
        duration = math.inf if math.isnan(duration) else duration
        ends = [duration if end == math.inf else end for end in speech.end]
        kept = [(start, end, text) for start, end, text in zip(speech.start, ends, speech.text, strict=True)
                if 0 <= start < math.inf and end <= duration and math.isfinite(end) and text.strip()]
        return Speech(*map(tuple, zip(*kept, strict=True))) if kept else Speech()

    def duration(self, video_id: str) -> float | None:
        """The video's duration in seconds if its entry has it (HowTo100M), else None."""
        found = self._find(video_id)
        entry = _read(found) if isinstance(found, Path) else self._entries[found] if found is not None else None
        seconds = entry.get("duration") if isinstance(entry, dict) else None
        if seconds is not None and not (is_time(seconds) and 0 < seconds < math.inf):
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
            return stored_id(video_id, self._entries)
        names = self._files.get(stored_id(video_id, self._files) or "")
        if names and len(names) > 1:
            raise UserError(f"{self._folder}: video {video_id}: several transcripts ({', '.join(names)}); keep one")
        return None if names is None else self._folder / names[0]

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        """The names of each video's files: those that are named most plainly, of the kind that comes first."""
        order = {suffix: rank for rank, suffix in enumerate(readers())}
        found: dict[str, dict[tuple[bool, int], list[str]]] = {}
        for name in sorted(os.listdir(self._folder)):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in order:
                bare = _without_language(stem)
                for key in {stem, bare}:
                    found.setdefault(key, {}).setdefault((key != stem, order[suffix.lower()]), []).append(name)
        return {key: min(files.items())[1] for key, files in found.items()}


def open_speech(path: str | Path) -> SpeechStore:
    """The speech at ``path``; an empty path gives a store without any speech.

    Raises UserError when the path is missing or unreadable, or a pickle that holds more than plain data.
    """
    return SpeechStore(path)


def _without_language(stem: str) -> str:
    """``<id>.mp4``, ``<id>.en`` as ``<id>``."""
    ending = next((ending for ending in (*VIDEO_ENDINGS, *SOUND_ENDINGS) if stem.endswith(ending)), None)
    return stem.removesuffix(ending) if ending else LANGUAGE.sub("", stem)


def _read(path: Path) -> Any:
    reader = readers().get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: expected speech as {', '.join(readers())} or a folder of such files")
    return reader(path)
