"""The best window of each query, by video: predicted moments as events that can be described."""

from collections.abc import Iterable, Mapping
from typing import Any

from hicm.errors import UserError
from hicm.moments.formats import _checks
from hicm.source import Source

WINDOWS, SUBMITTED = "windows", "pred_relevant_windows"


def best_windows(source: Source) -> dict[str, list[tuple[float, float]]] | None:
    """Start and end in seconds of the first window of every query that has one, by video; None for other content.

    Of predictions that hicm wrote (``results`` by video), or of a submission whose rows name their video (``vid``).
    Queries are in the order of the file.  Raises UserError naming the query for damage.
    """
    results = source.data.get("results") if isinstance(source.data, Mapping) else None
    if isinstance(results, Mapping):
        rows = [(str(video), row) for video, own in results.items() if isinstance(own, list) for row in own]
        if not any(isinstance(row, Mapping) and WINDOWS in row for _, row in rows):
            return None
        found: dict[str, list[tuple[float, float]]] = {str(video): [] for video in results}
        return _first(rows, WINDOWS, source.where, found)
    if not source.rows or SUBMITTED not in source.rows[0]:
        return None
    for row in _checks.rows_of(source):
        if not isinstance(row.get("vid"), str):
            raise UserError(f"{source.where}: query {row.get('qid')}: does not name its video ('vid'), so its moment "
                            "cannot be captioned; add it")
    return _first([(row["vid"], row) for row in source.rows], SUBMITTED, source.where, {})


def _first(rows: Iterable[tuple[str, Any]], key: str, where: str,
           found: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    for video, row in rows:
        query = row if isinstance(row, Mapping) else {}
        here = f"{where}: video {video}, query {query.get('qid')}"
        windows = _checks.numbers(query.get(key), 3, here, "[start, end, score]")
        own = found.setdefault(video, [])
        if len(windows):
            own.append((float(windows[0, 0]), float(windows[0, 1])))
    return found
