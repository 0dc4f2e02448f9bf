"""SubRip subtitles.  Scores and levels are lost; times are rounded to milliseconds."""

from hicm.exports import Captioned
from hicm.exports.clock import clock, cues

SUFFIX = ".srt"


def render(captioned: Captioned) -> str:
    """Numbered cues; decimal comma."""
    return "".join(f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{cue.text}\n\n"
                   for number, cue in enumerate(cues(captioned.events), start=1))
