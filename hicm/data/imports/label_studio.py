"""Exports of Label Studio (JSON, not JSON-MIN): a video per task, an event per region of a timeline.

The sentence of a region is the text of its TextArea.  Frames count from 1, at the rate ``data.fps`` of the task.  A
video is named by ``data.id``, else by its file.  Of a task's annotations the last one that was not cancelled counts,
and its predictions where nobody has annotated it.
"""

import math
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from hicm.data.imports import Imported
from hicm.errors import UserError
from hicm.files import read_json
from hicm.types import Event, Span

UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the names of uploaded files


def read(path: Path) -> list[Imported]:
    """The videos of all tasks.  Raises UserError naming the task that cannot be read."""
    tasks = read_json(path, "export of Label Studio")
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise UserError(f"{path}: expected a list of tasks; export as JSON from Label Studio")
    return [_task(task, f"{path}: task {task.get('id', number)}") for number, task in enumerate(tasks, start=1)]


def _task(task: dict, where: str) -> Imported:
    data = task.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("video"), str):
        raise UserError(f"{where}: expected data.video; export as JSON, not as JSON-MIN")
    rate = _positive(data.get("fps"))
    if rate is None:
        raise UserError(f"{where}: data.fps: expected the frames per second that the regions are counted in, found "
                        f"{data.get('fps')!r}; add it to the data of the task")
    regions, remarks = _regions(task, where)
    return Imported(str(data.get("id") or _name(data["video"])), _events(regions, rate, where),
                    _positive(data.get("duration")), remarks)


def _name(address: str) -> str:
    try:
        path = urlsplit(address).path
    except ValueError:  # brackets that hold no address
        path = address
    return UPLOADED.sub("", PurePosixPath(unquote(path)).stem, count=1)


def _regions(task: dict, where: str) -> tuple[list[dict], tuple[str, ...]]:
    """The results of the annotation that counts, and what is to be warned of."""
    annotations = [one for one in _objects(task.get("annotations") or [], f"{where}: annotations")
                   if not one.get("was_cancelled")]
    remarks = [f"{where}: {len(annotations)} annotations; the last one is taken"] if len(annotations) > 1 else []
    if not annotations:
        annotations = _objects(task.get("predictions") or [], f"{where}: predictions")
        if not annotations:
            raise UserError(f"{where}: has neither annotations nor predictions; annotate it, or leave it out")
        remarks = [f"{where}: nobody has annotated it; its predictions are taken as they are"]
    return _objects(annotations[-1].get("result"), f"{where}: result"), tuple(remarks)


def _objects(found: Any, where: str) -> list[dict]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError(f"{where}: expected a list of objects; export as JSON from Label Studio")
    return found


def _events(regions: list[dict], rate: float, where: str) -> tuple[Event, ...]:
    texts: dict[Any, str] = {}
    for region in regions:
        if region.get("type") == "textarea":
            value = region.get("value")
            text = value.get("text", "") if isinstance(value, dict) else ""
            texts[str(region.get("id"))] = " ".join(
                " ".join(map(str, text if isinstance(text, list) else [text])).split())
    return tuple(Event(span, texts.get(str(region.get("id")), "")) for region in regions
                 if region.get("type") == "timelinelabels" for span in _spans(region, rate, where))


def _spans(region: dict, rate: float, where: str) -> list[Span]:
    try:
        found = [(span["start"], span["end"]) for span in region["value"]["ranges"]]
        return [Span((first - 1) / rate, last / rate) for first, last in found]
    except (KeyError, TypeError, OverflowError) as error:
        raise UserError(f"{where}: region {region.get('id')}: expected value.ranges with start and end in "
                        "frames") from error


def _positive(value: Any) -> float | None:
    """A positive number, as text too, as spreadsheets and forms leave them; None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if 0 < found < math.inf else None
