"""Events in what language models write: ``0.0 - 9.0 seconds, add the salt.``, ``Add the salt, from 0:00 to 0:09.``

Each line is read alone.  Where times come first, an event's caption is what follows them; where they come last, what
stands before.  Two numbers are times only if something says so (a unit, a clock, brackets, "from .. to ..", the
beginning of a sentence), so that "add 1 - 2 cups" stays a caption.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

DIGITS = {name: str(at) for at, name in enumerate(
    ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"))} | {"DOT": "."}
_TIME_TOKENS = re.compile(r"(?:<TIME_(?:[A-Z]+|\d)>[ \t]*)+")  # VTG-LLM: one token for every digit
_TOKEN = re.compile(r"<TIME_([A-Z]+|\d)>")
_TIME = r"(?:\d{1,3}:\d{2}(?::\d{2})?(?:[.,]\d+)?|\d+(?:\.\d+)?|\.\d+)"
_UNIT = r"(?:\s*(?:seconds?|secs?\b|s\b|minutes?|mins?\b))"
_RANGE = re.compile(
    rf"(?P<open>[\[(<{{]\s*)?(?P<lead>\b(?:from|between)\s+)?(?<![\d.:,/])(?P<start>{_TIME})(?P<unit_1>{_UNIT})?"
    rf"\s*(?P<joint>-->|->|→|[-‐-―~]|,|\bto\b|\buntil\b|\btill\b|\band\b)\s*"
    rf"(?P<end>{_TIME})(?!\d|[:/.-]\d|%)(?P<unit_2>{_UNIT})?(?P<close>\s*[\])>}}])?", re.IGNORECASE)
# "Start time: 113 seconds" and "End time: 116 seconds", in one line or in two
_START_END = re.compile(rf"\bstart(?:ing|s)?(?:[ _]?time)?\s*[:=]?\s*({_TIME}){_UNIT}?[\s,;*]*"
                        rf"\bend(?:ing|s)?(?:[ _]?time)?\s*[:=]?\s*({_TIME}){_UNIT}?", re.IGNORECASE)
# What may stand before the times that begin a line: bullets, "1.", "Event 2:"
_MARKS = " \t\xa0*•#>|-‐‑‒–—―"
_BULLET = re.compile(r"(?:\(?\d{1,3}[.):])?[\s*]{0,4}"
                     r"(?:(?:event|step|scene|segment|clip|part|time(?:stamp)?s?)\s{0,2}\d{0,4}\s{0,2}[.:)]{0,2})?",
                     re.IGNORECASE)
_LONGEST_BULLET = 80  # characters
_LABEL = re.compile(r"^\s*(?:description|caption|event|sentence|content|action)\s*:\s*", re.IGNORECASE)
_NUMBERING = re.compile(r"(?<!\S)\d{1,3}[.)]$")  # of the next event in the same line
_SENTENCE_END = re.compile(r"[.;!?]\s+$")
_WORD = re.compile(r"[^\W\d_]")


class Found(NamedTuple):
    """An event of a text: span in seconds (or whatever the text counts in), and caption."""

    span: tuple[float, float]
    caption: str


def find_events(text: str) -> tuple[list[Found], list[str]]:
    """The events of an answer, in its order, and its lines that have words but no times.

    >>> find_events("Sure!\\n1. 0 - 9 seconds, add the salt. 12.5 - 20 seconds, stir.")
    ([Found(span=(0.0, 9.0), caption='add the salt.'), Found(span=(12.5, 20.0), caption='stir.')], ['Sure!'])
    """
    events: list[Found] = []
    unread: list[str] = []
    waiting: tuple[float, float] | None = None  # times whose caption is on the next line
    for line in _START_END.sub(r"\1 - \2 seconds ", plain_digits(text)).splitlines():
        ranges = find_ranges(line)
        if ranges:
            unread += _alone(waiting)
            found, preamble = _of_line(line, ranges)
            waiting = None if found[-1].caption else found.pop().span
            events += found
            unread += preamble
        elif _WORD.search(line) and waiting is not None:
            events.append(Found(waiting, _clean(line)))
            waiting = None
        elif _WORD.search(line):
            unread.append(line)
    unread += _alone(waiting)
    for event in events:
        unread += [] if event.caption else _alone(event.span)
    return [event for event in events if event.caption], unread


def _alone(span: tuple[float, float] | None) -> list[str]:
    """Times without a caption, as a line that was not read."""
    return [] if span is None else [f"{span[0]:g} - {span[1]:g}"]


def plain_digits(text: str) -> str:
    """``text`` with the time tokens of VTG-LLM as numbers.

    >>> plain_digits("<TIME_ZERO> <TIME_TWO> <TIME_DOT> <TIME_FIVE> seconds")
    '02.5 seconds'
    """
    def number(run: re.Match[str]) -> str:
        return "".join(DIGITS.get(one, one) for one in _TOKEN.findall(run[0])) + " "

    return _TIME_TOKENS.sub(number, text)


def find_ranges(line: str) -> list[re.Match[str]]:
    """The pairs of times in a line."""
    return [match for match in _RANGE.finditer(line) if _is_time(match, line)]


def seconds(match: re.Match[str]) -> tuple[float, float]:
    """Start and end of a pair of times."""
    unit = match["unit_2"] or match["unit_1"] or ""
    factor = 60 if unit.strip().lower().startswith("m") else 1
    return _number(match["start"], factor), _number(match["end"], factor)


def leads(line: str, match: re.Match[str]) -> bool:
    """Whether a pair of times begins its line, but for bullets and numbering."""
    before = line[:match.start()]
    return len(before) <= _LONGEST_BULLET and _BULLET.fullmatch(before.strip(_MARKS)) is not None


def _is_time(match: re.Match[str], line: str) -> bool:
    unit, joint = match["unit_1"] or match["unit_2"], match["joint"].lower()
    brackets = match["open"] and match["close"]
    if joint == ",":
        return bool(brackets)
    if joint == "and" and not match["lead"]:
        return False
    first = leads(line, match)
    if unit and unit.strip().lower().startswith("m"):
        return bool(first or match["lead"] or brackets)  # "simmer for 5 - 6 minutes" is a caption
    begins = first or _SENTENCE_END.search(line[max(match.start() - 20, 0):match.start()]) is not None
    return bool(unit or brackets or match["lead"] or begins or ":" in match["start"] + match["end"])


def _of_line(line: str, ranges: Sequence[re.Match[str]]) -> tuple[list[Found], list[str]]:
    """The events of a line, and what of it belongs to none."""
    before, after = line[:ranges[0].start()], line[ranges[-1].end():]
    spans = [seconds(match) for match in ranges]
    cuts = [match.end() for match in ranges]
    preamble: list[str] = []
    if not leads(line, ranges[0]) and _WORD.search(before):
        if not before.rstrip().endswith((".", ":", "!", "?")) or not _WORD.search(after):
            return _times_last(line, ranges)
        preamble = [before]
    ends = [match.start() for match in ranges[1:]] + [len(line)]
    return [Found(span, _clean(line[cut:end])) for span, cut, end in zip(spans, cuts, ends, strict=True)], preamble


def _times_last(line: str, ranges: Sequence[re.Match[str]]) -> tuple[list[Found], list[str]]:
    """Each caption stands before its times; the rest of the last sentence belongs to the last caption."""
    starts = [0, *(match.end() for match in ranges[:-1])]
    texts = [_clean(line[start:match.start()]) for start, match in zip(starts, ranges, strict=True)]
    after, rest = line[ranges[-1].end():], []
    if re.match(r"\s*[.;!?]", after) and _WORD.search(after):
        rest = [after.lstrip(" .;!?")]
    elif _WORD.search(after):
        texts[-1] = f"{texts[-1]} {_clean(after)}"
    return [Found(seconds(match), text) for match, text in zip(ranges, texts, strict=True)], rest


def _clean(text: str) -> str:
    """A caption without what ties it to its times."""
    text = text.lstrip(f"{_MARKS},;:.)]}}").rstrip(f"{_MARKS},;([{{")
    text = _NUMBERING.sub("", text).rstrip()
    return _LABEL.sub("", text)


def _number(text: str, factor: int) -> float:
    if ":" not in text:
        return float(text) * factor
    value = 0.0
    for part in text.split(":"):
        value = 60 * value + float(part.replace(",", "."))
    return value
