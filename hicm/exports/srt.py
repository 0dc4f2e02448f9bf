"""SubRip subtitles.  Scores and levels are lost; times are rounded to milliseconds.

There is no standard: overlapping events overlap, which some players show badly.  Brackets that a player would read as
a tag, as in ``<b>`` and ``{\\b1}``, are replaced.
"""

import re

from hicm.exports import Captioned
from hicm.exports.clock import clock, cues

SUFFIX = ".srt"

WIDTH = 42  # characters per line, by convention


def render(captioned: Captioned) -> str:
    """Numbered cues of one or two lines; decimal comma."""
    return "".join(f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{_lines(cue.text)}\n\n"
                   for number, cue in enumerate(cues(captioned.events), start=1))


def _lines(text: str) -> str:
    """A text too long for one line broken into two of similar length, at a blank."""
    text = re.sub(r"<(?=[A-Za-z/])", "‹", text.replace("{\\", "(\\"))
    blanks = [place for place, sign in enumerate(text) if sign == " "]
    if len(text) <= WIDTH or not blanks:
        return text
    middle = min(blanks, key=lambda place: abs(place - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1:]}"
