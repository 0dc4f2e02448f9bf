"""Speech of a video or sound file, recognised once and cached."""

import json
from pathlib import Path
from typing import Any

from hicm.config import digest
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.progress import Progress, no_progress
from hicm.recognisers import Recogniser
from hicm.video.identity import content_digest
from hicm.video.reader import has_sound


def video_speech(path: str | Path, recogniser: Recogniser, cache: str | Path,
                 progress: Progress = no_progress) -> dict[str, Any]:
    """``{"segments": [{start, end, text, words}], "recogniser": name}``, times in seconds; also a file of this form.

    Made once per content and recogniser, and kept in the folder ``cache``.  Without sound, or with silence or music
    only, there are no segments.  ``progress`` gets the stage speech, in seconds of the video.  Raises UserError
    when the model or the sound track cannot be read.
    """
    path = Path(path)
    sound = has_sound(path)
    key = json.dumps({"video": content_digest(path), "recogniser": recogniser.name}, sort_keys=True)
    kept = Path(cache) / f"{digest(key, 16)}.speech.json"
    there = _read(kept, recogniser.name)
    if there is not None:
        return there
    progress("speech", 0, 0)
    found = {"segments": recogniser.transcribe(path, progress) if sound else [], "recogniser": recogniser.name}
    write_json(kept, found)
    return found


def _read(path: Path, recogniser: str) -> dict[str, Any] | None:
    """The cached transcript in ``path``; None if there is none or it is damaged, so that it is made again."""
    try:
        found = read_json(path, "speech")
    except UserError:  # absent, or left by an interrupted copy
        return None
    segments = found.get("segments") if isinstance(found, dict) and found.get("recogniser") == recogniser else None
    if not isinstance(segments, list) or not all(isinstance(one, dict) and one.keys() >= {"start", "end", "text"}
                                                 for one in segments):
        return None
    return found
