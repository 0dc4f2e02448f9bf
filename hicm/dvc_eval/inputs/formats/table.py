"""One event per line of a table with a header: comma- or tab-separated values."""

import csv
import io
from collections.abc import Sequence

from hicm.dvc_eval.inputs.formats import _rows
from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source

FORM = "a .csv or .tsv table whose header names video_id, start, end and sentence"
NEEDED = {"video": _rows.VIDEO, "start": _rows.START, "end": _rows.END, "caption": _rows.CAPTION}


def matches(source: Source) -> bool:
    """Whether the first line names a video, times and a caption."""
    return source.data is None and _columns(_header(source)) is not None


def read(source: Source, reading: Reading) -> None:
    """Every line in turn; one with empty times is counted as unread."""
    columns = _columns(_header(source))
    assert columns is not None, "asked after `matches`"
    try:
        rows = list(csv.reader(io.StringIO(source.text, newline=""), delimiter=_delimiter(source)))[1:]
    except csv.Error as error:
        raise UserError(f"{source.where}: not a table ({error})") from error
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(columns.values()):
            raise UserError(f"{source.where}: row {number}: {len(row)} cells, expected {max(columns.values()) + 1}; "
                            "quote captions that hold the separator")
        name = reading.video(row[columns["video"]].strip())
        times = [row[columns[side]].strip() for side in ("start", "end")]
        if not all(times):
            reading.unread(row[columns["caption"]], f"row {number}")
            continue
        try:
            span = [float(time) for time in times]
        except ValueError:
            raise UserError(f"{source.where}: row {number}: times {' and '.join(map(repr, times))}, expected "
                            "seconds") from None
        reading.add(name, span, row[columns["caption"]])


def _delimiter(source: Source) -> str:
    return "\t" if "\t" in source.text.partition("\n")[0] else ","


def _header(source: Source) -> list[str]:
    line = source.text.lstrip("\n").partition("\n")[0]
    return [cell.strip().strip('"').lower() for cell in line.split(_delimiter(source))]


def _columns(header: Sequence[str]) -> dict[str, int] | None:
    """Where what is needed stands; None unless all of it is there."""
    found = {side: next((header.index(name) for name in names if name in header), -1)
             for side, names in NEEDED.items()}
    return found if min(found.values()) >= 0 else None
