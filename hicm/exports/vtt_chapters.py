"""WebVTT chapters for ``<track kind="chapters">``: cues that follow one another or lie one inside the other.

Where two events overlap in part, one is cut (`hicm.exports.chapters.nested`); scores are lost, and of
levels only the nesting remains.  Times are rounded to milliseconds.
Format: https://www.w3.org/TR/webvtt1/#chapters
"""

import html
import itertools
from collections.abc import Iterable, Iterator

from hicm.exports import Captioned
from hicm.exports.chapters import Chapter, nested
from hicm.exports.clock import clock

SUFFIX = ".chapters.vtt"


def render(captioned: Captioned) -> str:
    """Numbered cues; a chapter stands before what lies in it."""
    numbers = itertools.count(1)
    return "WEBVTT\n\n" + "".join(
        f"{next(numbers)}\n{clock(chapter.start)} --> {clock(chapter.end)}\n"
        f"{html.escape(chapter.title, quote=False)}\n\n" for chapter in _flat(nested(captioned.events)))


def _flat(chapters: Iterable[Chapter]) -> Iterator[Chapter]:
    for chapter in chapters:
        yield chapter
        yield from _flat(chapter.inside)
