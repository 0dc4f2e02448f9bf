"""Predictions of hicm, PDVC, CM2, HiCM2, Vid2Seq in PyTorch, and of ActivityNet's challenges."""

from collections.abc import Mapping, Sequence
from typing import Any

from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source
from hicm.types import Event
from hicm.values import kind_of

FORM = '{"results": {video: [{"sentence", "timestamp": [start, end]}]}}, or the inner mapping alone'
SIDE = "predictions"


def matches(source: Source) -> bool:
    """Whether there are results, or lists of events with sentences."""
    if not isinstance(source.data, Mapping):
        return False
    if "results" in source.data:
        return True
    videos = source.data.values()
    first = next((events[0] for events in videos if is_list(events) and len(events)), None)
    return all(map(is_list, videos)) and (
        first is None or isinstance(first, Event) or (isinstance(first, Mapping) and "sentence" in first))


def read(source: Source, reading: Reading) -> None:
    """Every event in turn; other keys of an event are ignored."""
    content = source.data
    if "results" in content:
        content = content["results"]
        if not isinstance(content, Mapping):
            raise UserError(f"{source.where}: 'results' is {kind_of(content)}, expected a mapping from video id to "
                            "events")
    for video, events in content.items():
        name = reading.video(video)
        where = f"{source.where}: video {name}"
        if not is_list(events):
            raise UserError(f"{where}: expected a list of events, found {kind_of(events)}")
        for index, event in enumerate(events):
            if isinstance(event, Event):
                event = {"sentence": event.text, "timestamp": (event.span.start, event.span.end)}
            if not isinstance(event, dict | Mapping):
                raise UserError(f"{where}, event {index}: expected {{'sentence', 'timestamp'}}, found {kind_of(event)}")
            for key in ("sentence", "timestamp"):
                if key not in event:
                    raise UserError(f"{where}, event {index}: no key {key!r}; found "
                                    f"{', '.join(map(repr, event)) or 'none'}")
            reading.add(name, event["timestamp"], event["sentence"])


def is_list(value: Any) -> bool:
    """Whether a value is a sequence that is no text."""
    return isinstance(value, Sequence) and not isinstance(value, str)
