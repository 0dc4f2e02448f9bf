"""A label track of Audacity: start, end and text, with tabs between.  Scores and levels are lost.

Times are rounded to microseconds.  Format: https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from hicm.exports import Captioned
from hicm.exports.clock import one_line

SUFFIX = ".audacity.txt"


def render(captioned: Captioned) -> str:
    """One line per event, in seconds."""
    return "".join(f"{event.span.start:.6f}\t{event.span.end:.6f}\t{text}\n" for event in captioned.events
                   if (text := one_line(event.text)))
