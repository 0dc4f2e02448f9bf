"""A pickle of plain data: one video's entry, or entries by video id (VidChapters)."""

from pathlib import Path
from typing import Any

from hicm.files import read_pickle

SUFFIXES = (".pkl", ".pickle")


def read_file(path: Path) -> Any:
    """Its content."""
    return read_pickle(path, "speech file")
