"""Predictions of TimeChat and VTG-LLM, as their scripts hand them to the evaluation."""

from collections.abc import Mapping

from hicm.dvc_eval.inputs.formats.results import is_list
from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source
from hicm.values import kind_of

FORM = '{video file: [{"timestamp": [start, end], "caption"}]}'


def matches(source: Source) -> bool:
    """Whether there are lists of events with captions."""
    if not isinstance(source.data, Mapping) or not all(map(is_list, source.data.values())):
        return False
    first = next((events[0] for events in source.data.values() if len(events)), None)
    return isinstance(first, Mapping) and {"caption", "timestamp"} <= first.keys() and not (
        {"sentence", "image_id"} & first.keys())


def read(source: Source, reading: Reading) -> None:
    """Every event in turn."""
    reading.file_names = True
    for video, events in source.data.items():
        name = reading.video(video)
        where = f"{source.where}: video {name}"
        for index, event in enumerate(events):
            if not isinstance(event, Mapping) or not {"timestamp", "caption"} <= event.keys():
                found = ", ".join(map(repr, event)) if isinstance(event, Mapping) else kind_of(event)
                raise UserError(f"{where}, event {index}: expected {{'timestamp', 'caption'}}, found {found or 'none'}")
            reading.add(name, event["timestamp"], event["caption"])
