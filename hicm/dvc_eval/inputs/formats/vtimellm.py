"""Logs of VTimeLLM: one answer per line, in json or in words, with times from 00 to 99 of the video's length."""

import json
import re
from collections.abc import Mapping

from hicm.dvc_eval.inputs.formats import _rows
from hicm.dvc_eval.inputs.free_text import find_events, find_ranges, seconds
from hicm.dvc_eval.inputs.reading import Reading
from hicm.source import Source

FORM = 'lines of {"video_id", "task": "captioning", "answer"}, times from 00 to 99'
SIDE = "predictions"
_OBJECT = re.compile(r"\{[^{}]*\}")


def matches(source: Source) -> bool:
    """Whether the first line is an answer to a task."""
    return bool(source.rows) and {"video_id", "task", "answer"} <= source.rows[0].keys()


def read(source: Source, reading: Reading) -> None:
    """The captioning answers; those to other tasks have no events.  Of two answers about a video the last one counts.

    A time n stands for the hundredth part that it names: an event lasts from the beginning of the first to the end of
    the last.  VTimeLLM's own script also joins neighbours that say the same; that is not done here.
    """
    reading.hundredths = True
    for row in source.rows:
        if row.get("task") != "captioning":
            continue
        name, answer = reading.start(_rows.video_of(row, source.where)), str(row.get("answer"))
        objects = [found for found in map(_event, _OBJECT.findall(answer)) if found]
        if objects:
            for times, caption in objects:
                ranges = find_ranges(f"from {times.removeprefix('from ')}")
                if ranges and caption:
                    reading.add(name, _span(seconds(ranges[0])), caption)
                else:
                    reading.unread(f"{times} {caption}", f"video {name}")
            continue
        events, unread = find_events(answer)
        for event in events:
            reading.add(name, _span(event.span), event.caption)
        for line in unread or ([] if events else [answer]):
            reading.unread(line, f"video {name}")


def _event(text: str) -> tuple[str, str] | None:
    """Times and caption of an object in an answer."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, Mapping) or "event" not in found:
        return None
    return str(found.get("timestamps", "")), str(found["event"])


def _span(found: tuple[float, float]) -> list[float]:
    return [found[0], found[1] + 1]
