"""Chapters in the description of a YouTube video, one line each: start and title.

Ends, scores and levels are lost; starts are rounded up to seconds, so that a jump never shows what came before.
YouTube drops the whole list at one violation of its rules, so events are made to fit: see `chapters`.
Rules: https://support.google.com/youtube/answer/9884579
"""

from collections.abc import Iterable

from hicm.errors import Refused
from hicm.exports import Captioned
from hicm.exports.chapters import levels
from hicm.exports.clock import Cue, cues, short_clock
from hicm.types import Event

SUFFIX = ".youtube.txt"

FEWEST = 3
MOST = 30  # our choice, for readability
SHORTEST = 10  # seconds
LONGEST_TITLE = 70  # characters that the list of chapters shows
LONGEST_TEXT = 5000  # bytes of a description
INTRO = "Intro"
BRACKETS = str.maketrans("<>", "‹›")  # a description may not hold < and >


def render(captioned: Captioned) -> str:
    """Lines to paste into the description.  Raises Refused with the reason when fewer than three chapters remain."""
    return _text(chapters(captioned.events, captioned.duration))


def chapters(events: Iterable[Event], duration: float) -> list[tuple[int, str]]:
    """Starts in seconds with titles, by the rules: the first at 0, ascending, three or more of 10 seconds or more.

    ``duration`` of the video in seconds.  Of several levels, the coarsest that gives 3 to 30 chapters is taken.  A
    first chapter that begins late is preceded by an "Intro", or moved to 0; one that is too short joins the chapter
    before it, and the longer event names both.  Too many are made fewer in the same way.
    Raises Refused with the reason when fewer than three remain.
    """
    kept = list(events)
    tried = [_fewer(cues(event for event in kept if event.level == level), duration) for level in levels(kept)]
    for found in tried:
        if len(found) >= FEWEST:
            return found
    left = max(map(len, tried), default=0)
    raise Refused(f"YouTube shows chapters only if there are three or more, each of {SHORTEST} seconds or more; here "
                  f"{left} can be made ({len(kept)} event{'s' * (len(kept) != 1)} in {duration:.0f} seconds)")


def _fewer(found: list[Cue], duration: float) -> list[tuple[int, str]]:
    """Chapters of 10 seconds or more; the minimum doubles while there are too many or the text is too long."""
    shortest = SHORTEST
    while True:
        kept = _at_least(shortest, found, duration)
        if len(kept) <= MOST and len(_text(kept).encode()) <= LONGEST_TEXT:
            return kept
        shortest *= 2


def _at_least(shortest: int, found: list[Cue], duration: float) -> list[tuple[int, str]]:
    """The most chapters of ``shortest`` seconds or more that the starts allow."""
    kept: list[tuple[int, Cue | None]] = [(0, None)]  # None: the intro
    for cue in found:
        start = -(-cue.start // 1000)
        if cue is found[0] and start < shortest:
            kept = [(0, cue)]
        elif start - kept[-1][0] >= shortest and duration - start >= shortest:
            kept.append((start, cue))
        else:
            kept[-1] = kept[-1][0], _longer(kept[-1][1], cue)
    return [(start, _title(cue)) for start, cue in kept if found]


def _longer(one: Cue | None, other: Cue) -> Cue | None:
    return one if one is None or one.end - one.start >= other.end - other.start else other


def _title(cue: Cue | None) -> str:
    text = INTRO if cue is None else cue.text.translate(BRACKETS)
    return text if len(text) <= LONGEST_TITLE else text[:LONGEST_TITLE - 1].rstrip() + "…"


def _text(found: list[tuple[int, str]]) -> str:
    return "".join(f"{short_clock(start)} {title}\n" for start, title in found)
