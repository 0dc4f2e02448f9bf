"""Events as chapters: one inside the other, or one after the other."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from hicm.exports.clock import cues
from hicm.types import Event


@dataclass
class Chapter:
    """Milliseconds, start < end; chapters ``inside`` lie within it, one after the other."""

    start: int
    end: int
    title: str
    level: int | None = None
    inside: list["Chapter"] = field(default_factory=list)


def nested(events: Iterable[Event]) -> list[Chapter]:
    """Chapters that follow one another or lie one inside the other, in order of time; no title is lost.

    Of two events that overlap in part, the first ends where the second begins; if the second is of a finer level, it
    ends with the first instead.  The longer the events of a level on average, the coarser it is.
    """
    found: list[Chapter] = []
    around: list[Chapter] = []  # from the outermost to the innermost of those that are open
    kept = list(events)
    rank = {level: place for place, level in enumerate(levels(kept))}
    for cue in sorted(cues(kept), key=lambda cue: (cue.start, -cue.end, rank[cue.event.level])):
        chapter = Chapter(cue.start, cue.end, cue.text, cue.event.level)
        while around and around[-1].end < chapter.end:
            above = around[-1]
            coarser = rank[above.level] < rank[chapter.level]
            if above.start == chapter.start or (coarser and above.end > chapter.start):
                chapter.end = above.end
            else:
                above.end = min(above.end, chapter.start)
                around.pop()
        (around[-1].inside if around else found).append(chapter)
        around.append(chapter)
    return found


def levels(events: Iterable[Event]) -> list[int | None]:
    """The levels of events, coarse to fine: by the mean length of their events.

    Lengths are added one by one, as core/layout.js does, so that both order them alike: `sum` is more exact in newer
    versions of Python.
    """
    total: dict[int | None, float] = {}
    count: Counter[int | None] = Counter()
    for event in events:
        total[event.level] = total.get(event.level, 0.0) + (event.span.end - event.span.start)
        count[event.level] += 1
    return sorted(total, key=lambda level: -total[level] / count[level])


def in_sequence(events: Iterable[Event]) -> list[Chapter]:
    """Chapters of which each ends at the latest where the next one begins, in order of time; no title is lost.

    Those that begin in the same millisecond become one, the longest one's title first.
    """
    found: list[Chapter] = []
    for cue in sorted(cues(events), key=lambda cue: (cue.start, -cue.end)):
        if found and found[-1].start == cue.start:
            found[-1].title += f" / {cue.text}"
            continue
        if found:
            found[-1].end = min(found[-1].end, cue.start)
        found.append(Chapter(cue.start, cue.end, cue.text))
    return found
