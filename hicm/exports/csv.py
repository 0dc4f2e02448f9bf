"""A table for spreadsheets and scripts, one line per event: nothing is lost but how the events were made.

Columns: video, duration, start, end (seconds), sentence, score, level; the last two are empty where there is none.
A video without events is only the header.
"""

import csv
import io

from hicm.exports import Captioned

SUFFIX = ".csv"

COLUMNS = ("video", "duration", "start", "end", "sentence", "score", "level")


def render(captioned: Captioned) -> str:
    """Comma-separated, with a header; numbers are not rounded."""
    text = io.StringIO()
    writer = csv.writer(text)  # its line ends: with others, a carriage return in a sentence would not be quoted
    writer.writerow(COLUMNS)
    for event in captioned.events:
        writer.writerow([captioned.id, captioned.duration, event.span.start, event.span.end, event.text, event.score,
                         event.level])
    return text.getvalue()
