"""One event per row: json lines, or a json list."""

from hicm.dvc_eval.inputs.formats import _rows
from hicm.dvc_eval.inputs.reading import Reading
from hicm.source import Source

FORM = 'a list or lines of {"video_id", "timestamp": [start, end] or "start" and "end", "sentence" or "caption"}'


def matches(source: Source) -> bool:
    """Whether the first row has a video, a caption that is text, and times."""
    first = source.rows[0] if source.rows else {}
    return (_rows.key(first, _rows.VIDEO) is not None and isinstance(_rows.get(first, _rows.CAPTION), str)
            and _rows.has_span(first))


def read(source: Source, reading: Reading) -> None:
    """Every row in turn; rows of a video need not follow one another."""
    for number, row in enumerate(source.rows):
        name = reading.video(_rows.video_of(row, f"{source.where}: row {number}"), _rows.get(row, _rows.DURATION))
        if not _rows.has_span(row):
            reading.unread(str(_rows.get(row, _rows.CAPTION)), f"video {name}")
            continue
        reading.add(name, _rows.span(row), _rows.get(row, _rows.CAPTION))
