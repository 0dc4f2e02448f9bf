"""The json of whisper.cpp: a transcription with offsets in milliseconds."""

from typing import Any

from hicm.data.speech.segments import Speech, is_time, make_speech
from hicm.errors import UserError

FORM = "{transcription: [{offsets: {from, to}, text}, ...]}"


def matches(entry: Any) -> bool:
    """Whether there is a transcription."""
    return isinstance(entry, dict) and isinstance(entry.get("transcription"), list)


def read(entry: Any, where: str) -> Speech:
    """The segments."""
    starts, ends, texts = [], [], []
    for i, segment in enumerate(entry["transcription"]):
        offsets = segment.get("offsets") if isinstance(segment, dict) else None
        if not isinstance(offsets, dict) or not all(is_time(offsets.get(side)) for side in ("from", "to")):
            raise UserError(f"{where}: transcription[{i}]: expected offsets from and to in milliseconds and text")
        starts.append(offsets["from"] / 1000)
        ends.append(offsets["to"] / 1000)
        texts.append(segment.get("text"))
    return make_speech(starts, ends, texts, where)
