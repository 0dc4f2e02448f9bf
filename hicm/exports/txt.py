"""Lines to read: start, end, sentence.  Scores and levels are lost; times are rounded to seconds."""

from hicm.exports import Captioned
from hicm.exports.clock import cues

SUFFIX = ".txt"


def render(captioned: Captioned) -> str:
    """One line per event."""
    return "".join(f"{_clock(cue.start)} - {_clock(cue.end)}  {cue.text}\n" for cue in cues(captioned.events))


def _clock(milliseconds: int) -> str:
    seconds = round(milliseconds / 1000)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"
