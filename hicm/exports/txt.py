"""Plain text: start, end, sentence.  Scores and levels are lost; times are rounded to seconds."""

from hicm.exports import Captioned
from hicm.exports.clock import cues, short_clock

SUFFIX = ".txt"


def render(captioned: Captioned) -> str:
    """One line per event."""
    return "".join(f"{short_clock(round(cue.start / 1000))} - {short_clock(round(cue.end / 1000))}  {cue.text}\n"
                   for cue in cues(captioned.events))
