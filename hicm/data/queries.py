"""Annotations of moment retrieval as videos: every moment of a query is an event of its video."""

import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from hicm.data.ids import refuse_unusable_id
from hicm.data.text import mend
from hicm.errors import UserError
from hicm.moments.dense import to_videos
from hicm.moments.read import file_formats
from hicm.moments.read import read_annotations as read_queries
from hicm.types import Video

DENSE = "charades_cg"  # the form of dense captions as well


def is_moments(path: str | Path) -> bool:
    """Whether a file is an annotation file of moment retrieval, in a format that dense captions do not have."""
    return any(side == "annotations" and name != DENSE for name, side in _formats(path).items())


def is_durations(path: str | Path) -> bool:
    """Whether a file is a table of durations, which goes with one of Charades-STA."""
    return str(path).removesuffix(".gz").endswith(".csv") and "durations" in _formats(path).values()


def read_moments(path: str | Path, durations: str, mended: list[str]) -> dict[str, Video]:
    """Videos by id, in the order of their first queries, with `Video.queries`.

    ``durations``: the table of durations, where one was given.  What is cleaned is counted in warnings; sentences that
    were mended (`hicm.data.text.mend`) are appended to ``mended``.  Raises UserError naming file and query.
    """
    noted: list[str] = []
    found = read_queries([str(path), *([durations] if durations else [])], noted)
    for line in noted:
        warnings.warn(line, stacklevel=4)
    queries = []
    for query in found.queries:
        if not query.video:
            raise UserError(f"{path}: query {query.id}: names no video; this file can be scored, but not trained on")
        refuse_unusable_id(query.video, str(path))
        text = mend(query.text)
        if text != query.text:
            mended.append(f"query {query.id}")
        queries.append(replace(query, text=text))
    return to_videos(replace(found, queries=tuple(queries)))


def _formats(path: str | Path) -> dict[str, str]:
    try:
        state = Path(path).stat()
        return _read_formats(str(path), state.st_mtime_ns, state.st_size)
    except (OSError, UserError):
        return {}


@lru_cache(maxsize=64)
def _read_formats(path: str, changed: int, size: int) -> dict[str, str]:
    """Large tables are read once, not for each question about them; ``changed`` and ``size`` are those of the file."""
    return file_formats(path)
