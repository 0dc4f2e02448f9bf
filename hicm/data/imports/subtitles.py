"""SubRip (.srt) and WebVTT (.vtt) subtitles: a video per file, named by it, an event per cue.

Lines of a cue are joined by blanks; tags are left out.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from hicm.data.imports import Imported
from hicm.data.text_files import read_text
from hicm.errors import UserError
from hicm.types import Event, Span

TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
TIMING = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}(?:\s.*)?")
TAGS = {".srt": re.compile(r"</?(?:[biu]|font)(?:\s[^>]*)?>|\{\\[^}]*\}", re.IGNORECASE),
        ".vtt": re.compile(r"<[^>]*>")}
NO_CUES = ("WEBVTT", "NOTE", "STYLE", "REGION")


def read(path: Path) -> list[Imported]:
    """One video.  Raises UserError naming the line of a cue that cannot be read."""
    kind = path.suffix.lower()
    if kind not in TAGS:
        raise UserError(f"{path}: expected subtitles as .srt or .vtt; convert the file, e.g. with ffmpeg -i")
    events = []
    for number, timing, lines in _cues(path, kind):
        times = TIMING.fullmatch(timing)
        if times is None:
            raise UserError(f"{path}: line {number}: expected HH:MM:SS.mmm --> HH:MM:SS.mmm, found {timing!r}")
        if any(map(TIMING.fullmatch, lines)):
            raise UserError(f"{path}: line {number}: the next cue follows without an empty line; put one between them")
        text = TAGS[kind].sub("", " ".join(" ".join(lines).split()))
        events.append(Event(Span(_seconds(*times.groups()[:4]), _seconds(*times.groups()[4:])),
                            html.unescape(text) if kind == ".vtt" else text))
    return [Imported(path.stem, tuple(events))]


def _cues(path: Path, kind: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line number and text of each timing, with the lines below it."""
    cue: tuple[int, str, list[str]] | None = None
    for first, block in _blocks(re.split(r"\r\n|\r|\n", read_text(path))):
        place = next((place for place, line in enumerate(block[:2]) if "-->" in line), None)
        if place is not None:
            if cue:
                yield cue
            cue = first + place, block[place], block[place + 1:]
        elif kind == ".vtt" and block[0].startswith(NO_CUES):
            continue
        elif kind == ".srt" and cue:  # an empty line within a cue
            cue[2].extend(block)
        else:
            raise UserError(f"{path}: line {first}: expected a cue with its times, found {block[0][:40]!r}")
    if cue:
        yield cue


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not empty, each with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _seconds(hours: str | None, minutes: str, seconds: str, rest: str) -> float:
    return (int(hours or 0) * 3_600_000 + int(minutes) * 60_000 + int(seconds) * 1000 + int(rest.ljust(3, "0"))) / 1000
