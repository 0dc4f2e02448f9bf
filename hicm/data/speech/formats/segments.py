"""A list of segments: Whisper, WhisperX, faster-whisper; with durations for ends, as youtube-transcript-api has them.

Words, speakers and what else is known of a segment are not read.
"""

from typing import Any

from hicm.data.speech.cues import Cue, untangle
from hicm.data.speech.segments import Speech, is_list, is_time, make_speech
from hicm.errors import UserError

FORM = "{segments: [{start, end, text}, ...]}"


def matches(entry: Any) -> bool:
    """A list of segments, alone or under its name."""
    if isinstance(entry, dict):
        return "segments" in entry and not is_list(entry.get("text"))
    return is_list(entry) and all(isinstance(segment, dict) and "text" in segment for segment in entry)


def read(entry: Any, where: str) -> Speech:
    """The segments."""
    segments = entry["segments"] if isinstance(entry, dict) else entry
    if not is_list(segments) or not all(isinstance(segment, dict) for segment in segments):
        raise UserError(f"{where}: segments: expected a list of {{start, end, text}}")
    shown = [segment for segment in segments if "end" not in segment and is_time(segment.get("duration"))]
    if shown and len(shown) == len(segments):
        times = [segment.get("start") for segment in segments]
        ends = [start + segment["duration"] if is_time(start) else None
                for start, segment in zip(times, segments, strict=True)]
        speech = make_speech(times, ends, [segment.get("text") for segment in segments], where)
        return untangle([Cue(*segment) for segment in zip(speech.start, speech.end, speech.text, strict=True)])
    start, end, text = ([segment.get(key) for segment in segments] for key in ("start", "end", "text"))
    return make_speech(start, end, text, where)
