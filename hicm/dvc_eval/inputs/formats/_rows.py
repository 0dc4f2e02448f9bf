"""Names that rows of json lines, csv and tables of events use for the same things."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from hicm.errors import UserError

VIDEO = ("video_id", "vid", "video", "vname", "image_id", "video_name", "youtube_id", "clip_id", "id")
CAPTION = ("sentence", "caption", "text", "description", "event")
SPAN = ("timestamp", "segment", "span", "time", "timestamps")
START = ("start", "start_time", "begin", "from", "t_start")
END = ("end", "end_time", "stop", "to", "t_end")
DURATION = ("duration", "video_duration", "length", "vid_duration")
EVENTS = ("events", "annotations", "segments", "predictions", "captions")


def key(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of ``names`` that the row has; None if it has none."""
    return next((name for name in names if name in row), None)


def get(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value under the first of ``names`` that the row has; None if it has none."""
    return next((row[name] for name in names if name in row), None)


def has_span(row: Mapping[str, Any]) -> bool:
    """Whether a row has start and end, each under a name of its own or both under one."""
    return key(row, SPAN) is not None or (key(row, START) is not None and key(row, END) is not None)


def span(row: Mapping[str, Any]) -> Any:
    """Start and end of a row that has them."""
    name = key(row, SPAN)
    return row[name] if name is not None else [get(row, START), get(row, END)]


def video_of(row: Mapping[str, Any], where: str) -> str:
    """The id of a row's video.  Raises UserError if there is none."""
    video = get(row, VIDEO)
    if not isinstance(video, str | Integral) or isinstance(video, bool) or not str(video).strip():
        raise UserError(f"{where}: video id {video!r:.40}, expected text under a key like 'video_id'")
    return str(video)
