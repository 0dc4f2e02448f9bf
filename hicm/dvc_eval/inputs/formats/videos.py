"""One video per row: json lines, or a json list.  ActivityNet Captions is distributed like this, too."""

from collections.abc import Mapping
from typing import Any

from hicm.dvc_eval.inputs.formats import _rows
from hicm.dvc_eval.inputs.formats.results import is_list
from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source

FORM = ('a list or lines of {"video_id", "duration", "timestamps": [[start, end]], "sentences"} or '
        '{"video_id", "duration", "events"}')
SENTENCES = ("sentences", "captions", "en_captions", "texts")


def matches(source: Source) -> bool:
    """Whether the first row has a video and lists: of times and sentences, or of events."""
    first = source.rows[0] if source.rows else {}
    return _rows.key(first, _rows.VIDEO) is not None and _lists(first) is not None


def read(source: Source, reading: Reading) -> None:
    """Every row in turn."""
    for number, row in enumerate(source.rows):
        where, found = f"{source.where}: row {number}", _lists(row)
        name = reading.start(_rows.video_of(row, where), _rows.get(row, _rows.DURATION))
        if found is None:
            raise UserError(f"{where}: video {name}: expected {FORM.partition(' of ')[2]}")
        spans, captions = found
        if len(spans) != len(captions):
            raise UserError(f"{where}: video {name}: {len(spans)} timestamps but {len(captions)} sentences")
        for span, caption in zip(spans, captions, strict=True):
            if span is None:
                reading.unread(str(caption), f"video {name}")
            else:
                reading.add(name, span, caption)


def _lists(row: Mapping[str, Any]) -> tuple[list[Any], list[Any]] | None:
    """Times and captions of a row; None if it has none.  A time is None where an event has none."""
    events = next((row[name] for name in _rows.EVENTS if name in row and is_list(row[name]) and
                   all(isinstance(event, Mapping) for event in row[name])), None)
    if events is not None:
        return ([_rows.span(event) if _rows.has_span(event) else None for event in events],
                [_rows.get(event, _rows.CAPTION) for event in events])
    captions: Any = _rows.get(row, SENTENCES)
    spans: Any = row.get("timestamps")
    if is_list(row.get("captions_starts")) and is_list(row.get("captions_ends")):  # the copy on the Hugging Face hub
        spans = [list(span) for span in zip(row["captions_starts"], row["captions_ends"], strict=False)]
    return (list(spans), list(captions)) if is_list(spans) and is_list(captions) else None
