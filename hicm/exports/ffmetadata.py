"""Chapters that ffmpeg puts into a video file: one after the other, each up to the next.

``ffmpeg -i VIDEO -i NAME.ffmetadata -map_metadata 0 -map_chapters 1 -codec copy OUT``.  Where events overlap, the
earlier one ends where the next begins, and events that begin together share a chapter; scores and levels are lost.
Times are rounded to milliseconds.  Format: https://ffmpeg.org/ffmpeg-formats.html#Metadata
"""

import re

from hicm.exports import Captioned
from hicm.exports.chapters import in_sequence

SUFFIX = ".ffmetadata"


def render(captioned: Captioned) -> str:
    """The title of the video and its chapters."""
    found = "".join(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={chapter.start}\nEND={chapter.end}\n"
                    f"title={_escape(chapter.title)}\n" for chapter in in_sequence(captioned.events))
    return f";FFMETADATA1\ntitle={_escape(captioned.id)}\n{found}"


def _escape(text: str) -> str:
    """Escaped text; a blank follows a final backslash, as ffmpeg would read the next line as part of the text."""
    escaped = re.sub(r"([=;#\\\n])", r"\\\1", text)
    return f"{escaped} " if text.endswith("\\") else escaped
