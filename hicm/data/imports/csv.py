"""Tables (.csv) with a line per event, as ``hicm caption --format csv`` writes them.

Columns: start, end (seconds) and sentence; video, where it is missing the name of the file; duration (seconds) if
known.  Others are ignored.  What spreadsheets make of it is read too: semicolons or tabs instead of commas, then with
decimal commas.
"""

import csv
import io
import math
from pathlib import Path

from hicm.data.imports import Imported
from hicm.errors import UserError
from hicm.files import read_text
from hicm.types import Event, Span

COLUMNS = ("start", "end", "sentence")


def read(path: Path) -> list[Imported]:
    """The videos in the order in which they occur.  Raises UserError naming the line that cannot be read."""
    text = read_text(path)
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise UserError(f"{path}: no column {', '.join(missing)}; expected a header with {', '.join(COLUMNS)}")
    events: dict[str, list[Event]] = {}
    durations: dict[str, float] = {}
    try:
        for row in rows:
            where = f"{path}: line {rows.line_num}"
            if None in row or None in row.values():
                raise UserError(f"{where}: expected {len(rows.fieldnames or ())} columns; put texts with "
                                f"{separator!r} in quotes")
            video = row.get("video") or path.stem
            start, end = (_number(row[name], f"{where}: {name}", separator) for name in ("start", "end"))
            events.setdefault(video, []).append(Event(Span(start, end), row["sentence"]))
            if row.get("duration"):
                seconds = _number(row["duration"], f"{where}: duration", separator)
                if durations.setdefault(video, seconds) != seconds:
                    raise UserError(f"{where}: duration: {seconds:g} s, but {durations[video]:g} s in another line of "
                                    "the same video")
    except csv.Error as error:
        raise UserError(f"{path}: line {rows.line_num}: is not csv ({error})") from error
    return [Imported(video, tuple(found), durations.get(video)) for video, found in events.items()]


def _number(text: str, where: str, separator: str) -> float:
    try:
        found = float(text if separator == "," else text.replace(",", "."))
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UserError(f"{where}: expected seconds of 0 or more, found {text!r}")
    return found
