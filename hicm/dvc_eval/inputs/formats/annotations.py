"""Annotations of YouCook2, ViTT and ActivityNet Captions, as hicm, PDVC, CM2 and VidChapters keep them."""

from collections.abc import Mapping, Sequence

from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source
from hicm.types import Video
from hicm.values import kind_of

FORM = '{video: {"duration", "timestamps": [[start, end]], "sentences": [..]}}'
SIDE = "references"


def matches(source: Source) -> bool:
    """Whether any video has timestamps."""
    return isinstance(source.data, Mapping) and any(
        isinstance(entry, Video) or (isinstance(entry, Mapping) and "timestamps" in entry)
        for entry in source.data.values())


def read(source: Source, reading: Reading) -> None:
    """Every event in turn."""
    for video, entry in source.data.items():
        if isinstance(entry, Video):
            entry = {"duration": entry.duration, "sentences": [event.text for event in entry.events],
                     "timestamps": [(event.span.start, event.span.end) for event in entry.events]}
        where = f"{source.where}: video {video}"
        if not isinstance(entry, Mapping):
            raise UserError(f"{where}: expected {{'duration', 'timestamps', 'sentences'}}, found {kind_of(entry)}")
        for key in ("timestamps", "sentences"):
            value = entry.get(key)
            if not isinstance(value, Sequence) or isinstance(value, str):
                raise UserError(f"{where}: {key!r} is {'missing' if key not in entry else kind_of(value)}, expected a "
                                "list")
        if len(entry["timestamps"]) != len(entry["sentences"]):
            raise UserError(f"{where}: {len(entry['timestamps'])} timestamps but {len(entry['sentences'])} sentences")
        name = reading.video(video, entry.get("duration"))
        for span, sentence in zip(entry["timestamps"], entry["sentences"], strict=True):
            reading.add(name, span, sentence)
