"""Tables of windows, one per line, with a header: what the csv formats of both sides share."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hicm.errors import UserError
from hicm.source import Source

NAMES = {"query": ("query_id", "qid", "query"), "start": ("start", "start_time", "t_start"),
         "end": ("end", "end_time", "t_end"), "score": ("score", "confidence"), "video": ("video_id", "vid", "video"),
         "duration": ("duration", "video_duration"), "sentence": ("sentence", "text", "description")}
NEEDED = ("query", "start", "end")


class Line(NamedTuple):
    """One line: where it stands, and its cells by the keys of NAMES; "" for those that the table has not."""

    where: str
    cells: dict[str, str]

    def seconds(self, key: str) -> float:
        """A cell as a finite number.  Raises UserError if it is none."""
        try:
            value = float(self.cells[key])
        except ValueError:
            value = float("nan")
        if not abs(value) < 1e300:
            raise UserError(f"{self.where}: {key} {self.cells[key]!r:.40}, expected a number")
        return value


class Rows:
    """The lines of one query: what they say of it, which must not change from one to the next."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: dict[str, tuple[str, float | str]] = {}

    def add(self, line: Line, keys: Sequence[str]) -> None:
        """Note these cells of a line; empty ones say nothing.  Raises UserError if an earlier line differs."""
        for key in keys:
            if not (cell := line.cells[key]):
                continue
            value = line.seconds(key) if key == "duration" else cell  # 60 and 60.0 are the same
            known, before = self.said.setdefault(key, (cell, value))
            if value != before:
                raise UserError(f"{line.where}: query {self.name}: {key} {cell!r:.60}, but {known!r:.60} in an earlier "
                                "row; is the id that of another query?")

    def cell(self, key: str) -> str:
        """What the lines say; "" where none says anything."""
        return self.said.get(key, ("", ""))[0]


def columns(source: Source) -> dict[str, int]:
    """Where the columns stand that a table has, by the keys of NAMES; nothing if it lacks one of NEEDED."""
    if source.data is not None:
        return {}
    line = _text(source).partition("\n")[0]
    header = [cell.strip().strip('"').lower() for cell in line.split(_mark(source))]
    found = {key: next((header.index(name) for name in names if name in header), -1) for key, names in NAMES.items()}
    found = {key: place for key, place in found.items() if place >= 0}
    return found if all(key in found for key in NEEDED) else {}


def lines(source: Source) -> Iterator[Line]:
    """Every line below the header that is not empty."""
    found = columns(source)
    try:
        rows = list(csv.reader(io.StringIO(_text(source), newline=""), delimiter=_mark(source)))[1:]
    except csv.Error as error:
        raise UserError(f"{source.where}: not a table ({error})") from error
    for number, row in enumerate(rows, start=2):
        where = f"{source.where}: row {number}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(found.values()):
            raise UserError(f"{where}: {len(row)} cells, expected {max(found.values()) + 1}; quote sentences that "
                            "hold the separator")
        yield Line(where, dict.fromkeys(NAMES, "") | {key: row[place].strip() for key, place in found.items()})


def _text(source: Source) -> str:
    return source.text.lstrip("\r\n")


def _mark(source: Source) -> str:
    """What separates cells: the tab or semicolon that the header has, else the comma."""
    header = _text(source).partition("\n")[0]
    return next((mark for mark in "\t;" if mark in header), ",")
