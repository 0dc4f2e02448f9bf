"""WebVTT captions.  Scores and levels are lost; times are rounded to milliseconds."""

import html

from hicm.exports import Captioned
from hicm.exports.clock import clock, cues

SUFFIX = ".vtt"


def render(captioned: Captioned) -> str:
    """Numbered cues in order of their starts."""
    return "WEBVTT\n\n" + "".join(
        f"{number}\n{clock(cue.start)} --> {clock(cue.end)}\n{html.escape(cue.text, quote=False)}\n\n"
        for number, cue in enumerate(cues(captioned.events), start=1))
