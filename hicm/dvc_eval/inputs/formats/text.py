"""Free text: lines like "0 - 9 seconds, add the salt." of one video, or of several under their ids."""

import re

from hicm.dvc_eval.inputs.formats.answers import add_answer
from hicm.dvc_eval.inputs.free_text import find_ranges, leads, plain_digits
from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source

FORM = ('lines like "0 - 9 seconds, add the salt", below a line with the id of their video, after the id and a tab or '
        "colon, or of the video that the file is named after")
SIDE = "predictions"
_HEADER = re.compile(r"^\s*(?P<said>#+\s*|(?:video|video[ _]?id|id)\s*[:=]\s*)?\[?(?P<video>[^\s,;\]]+?)\]?\s*:?\s*$",
                     re.IGNORECASE)
_ID = re.compile(r"(?=.*[\d_]|.+[A-Z]|.*\.\w{2,4}$)[\w.-]{3,}$")  # what no word looks like
_NUMBERING = re.compile(r"\d{1,4}[.)]?$")
_BEFORE = re.compile(r"^\s*(?P<video>[^\s,;:]+)\s*(?:\t|:\s|\|)\s*$")
_NO_IDS = re.compile(r"^(?:event|step|scene|segment|clip|part|timestamps?|times?)\d*$", re.IGNORECASE)


def matches(source: Source) -> bool:
    """Whether there is a line that begins with times, or ends with them."""
    if source.data is not None or source.rows or source.text.lstrip().startswith("{"):
        return False
    for line in source.text[:50_000].splitlines()[:200]:
        line = plain_digits(line)
        ranges = find_ranges(line)
        if ranges and (leads(line, ranges[0]) or _video_of(line) or not re.search(r"\w", line[ranges[-1].end():])):
            return True
    return "start time" in source.text[:50_000].lower()


def read(source: Source, reading: Reading) -> None:
    """The events below every id, or after it; without ids those of one video."""
    reading.file_names = True
    lines = source.text.splitlines()
    with_times = [line for line in lines if find_ranges(plain_digits(line))]
    videos = [_video_of(line) for line in with_times]
    if videos and all(videos):
        _by_line(lines, reading)
        return
    answers: dict[str, list[str]] = {}
    current = None
    for at, line in enumerate(lines):
        header = _header(line, lines[at + 1:])
        if header:
            current = header
            answers.setdefault(current, [])
        elif current is None and line.strip():
            if not source.name:
                raise UserError(f"{source.where}: no video id before {line.strip()!r:.40}; put the id on a line of its "
                                "own above the lines of its events")
            current = source.name
            answers[current] = [line]
        elif current is not None:
            answers[current].append(line)
    for video, answer in answers.items():
        add_answer(reading, reading.video(video), "\n".join(answer))


def _by_line(lines: list[str], reading: Reading) -> None:
    for number, line in enumerate(lines, start=1):
        line = plain_digits(line)
        video = _video_of(line)
        if video:
            add_answer(reading, reading.video(video), line[find_ranges(line)[0].start():])
        elif re.search(r"\w", line):
            reading.unread(line, f"line {number}")


def _video_of(line: str) -> str:
    """The id that stands before the times of a line; "" if there is none."""
    ranges = find_ranges(line)
    found = _BEFORE.match(line[:ranges[0].start()]) if ranges else None
    return found["video"] if found and not _NO_IDS.match(found["video"]) else ""


def _header(line: str, following: list[str]) -> str:
    """The id that a line consists of; "" if it is none.  Times follow at once, or it says so, or looks like an id."""
    found = _HEADER.match(line)
    if not found or find_ranges(line) or _NO_IDS.match(found["video"]) or (
            not found["said"] and _NUMBERING.match(found["video"])):
        return ""
    if found["said"] or _ID.match(found["video"]):
        return found["video"]
    following_line = next((one for one in following if one.strip()), "")
    return found["video"] if find_ranges(plain_digits(following_line)) else ""
