"""Durations of Charades' videos: its csv tables, ``Charades_v1_train.csv`` and ``Charades_v1_test.csv``."""

import csv
import io

from hicm.errors import UserError
from hicm.source import Source

FORM = "the csv table of Charades, whose header names id and length"
SIDE = "durations"


def matches(source: Source) -> bool:
    """Whether the first line names what Charades' tables have."""
    return source.data is None and {"id", "subject", "length"} <= set(source.text.partition("\n")[0].strip().split(","))


def read(source: Source) -> dict[str, float]:
    """Seconds by video."""
    found: dict[str, float] = {}
    try:
        for number, row in enumerate(csv.DictReader(io.StringIO(source.text, newline="")), start=2):
            try:
                seconds = float(row["length"] or "")
            except (ValueError, TypeError):
                seconds = -1.0
            if not row["id"] or not 0 < seconds < float("inf"):
                raise UserError(f"{source.where}: row {number}: video {row['id']!r}, length {row['length']!r}, "
                                "expected an id and seconds")
            found[row["id"]] = seconds
    except csv.Error as error:
        raise UserError(f"{source.where}: not a table ({error})") from error
    return found
