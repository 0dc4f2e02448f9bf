"""Subtitles: cues with the times at which they are shown, and the speech they stand for.

YouTube's automatic captions roll: a cue shows the last line of the one before it again, or is still shown when the next
one starts.  `untangle` undoes both, where most cues of a file do it.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hicm.data.speech.segments import Speech
from hicm.errors import UserError

TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"  # hours may be left out
TIMES = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}(?:\s|$)")  # settings may follow
ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z]+);", re.IGNORECASE)
NO_CUES = ("WEBVTT", "NOTE", "STYLE", "REGION")  # what blocks of WebVTT begin with that are no cues
CLOSE = 0.1  # seconds between cues of which one continues the other


@dataclass(frozen=True)
class Cue:
    """What is shown from start to end, in seconds; its lines are separated by line breaks."""

    start: float
    end: float
    text: str

    @property
    def lines(self) -> list[str]:
        """Those that are not blank, with single blanks between words."""
        return [line for line in (" ".join(line.split()) for line in self.text.split("\n")) if line]


def find_cues(text: str, path: Path, tags: re.Pattern[str], ends_at_blank: bool, entities: bool = True) -> list[Cue]:
    """The cues of a subtitle file, without ``tags`` and, if ``entities``, with entities as characters.

    ``ends_at_blank``: a cue ends at an empty line; else at the counter before the next times.  Raises UserError for a
    line of times that cannot be read, for text without times, and for a file without any that is not empty.
    """
    found: list[tuple[float, float, list[str]]] = []
    counted = open_ = aside = False
    lines = [line.rstrip("\r") for line in text.split("\n")]
    for number, line in enumerate(lines, start=1):
        if times := TIMES.match(line):
            if not found:
                counted = number > 1 and lines[number - 2].strip().isdigit()
            elif counted and not ends_at_blank and found[-1][2] and found[-1][2][-1].strip().isdigit():
                found[-1][2].pop()  # the counter of this cue
            parts, open_ = times.groups(), True
            found.append((_seconds(parts[:4]), _seconds(parts[4:]), []))
        elif re.match(r"\s*\d+:\d.*-->", line):
            raise UserError(f"{path}: line {number}: expected hours:minutes:seconds.milliseconds --> ..., found "
                            f"{line.strip()[:60]!r}; correct the time")
        elif ends_at_blank and not line:
            open_ = aside = False
        elif open_:
            found[-1][2].append(line)
        elif ends_at_blank:
            aside = aside or line.startswith(NO_CUES)
            named = number < len(lines) and TIMES.match(lines[number])  # the name of the next cue
            if not (aside or named or not line.strip()):
                raise UserError(f"{path}: line {number}: expected a cue with its times, found {line.strip()[:60]!r}; "
                                "add its times, or remove it")
    if not found and text.strip() and not text.startswith("WEBVTT"):
        raise UserError(f"{path}: found no line of times (00:00:01.000 --> 00:00:03.500); is it a subtitle file?")
    return [Cue(start, end, _plain("\n".join(shown), tags, entities)) for start, end, shown in found]


def untangle(cues: Sequence[Cue]) -> Speech:
    """The speech of cues in their order; of those that roll, what is new in each, until the next one starts.

    >>> untangle([Cue(0, 2, "boil the"), Cue(2, 4, "boil the\\nwater and"), Cue(4, 6, "water and\\nadd salt")]).text
    ('boil the', 'water and', 'add salt')
    >>> untangle([Cue(0, 4, "boil"), Cue(2, 6, "the"), Cue(4, 8, "water")]).end
    (2, 4, 8)
    """
    shown = [cue for cue in cues if cue.lines]
    repeated = [_repeated(before, cue) for before, cue in pairwise(shown)]
    if 2 * sum(count > 0 for count in repeated) > len(repeated):
        shown = [Cue(cue.start, cue.end, "\n".join(cue.lines[count:]))
                 for count, cue in zip([0, *repeated], shown, strict=True)]
        shown = [cue for cue in shown if cue.lines]
    ends = [cue.end for cue in shown]
    overlapping = [before.start < cue.start < before.end for before, cue in pairwise(shown)]
    if 2 * sum(overlapping) > len(overlapping):
        ends = [following.start if overlaps else end for end, overlaps, following
                in zip(ends, [*overlapping, False], [*shown[1:], *shown[-1:]], strict=True)]
    return Speech(tuple(cue.start for cue in shown), tuple(ends), tuple(" ".join(cue.lines) for cue in shown))


def _repeated(before: Cue, cue: Cue) -> int:
    """How many lines at the end of one cue the next one, directly after it, shows again at its beginning."""
    if cue.start - before.end > CLOSE:
        return 0
    return max((count for count in range(1, len(cue.lines) + 1) if before.lines[-count:] == cue.lines[:count]),
               default=0)


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = parts
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return (1000 * whole + int((fraction or "").ljust(3, "0"))) / 1000


def _plain(text: str, tags: re.Pattern[str], entities: bool) -> str:
    bare = tags.sub("", text)
    return ENTITY.sub(lambda entity: html.unescape(entity[0]), bare) if entities else bare
