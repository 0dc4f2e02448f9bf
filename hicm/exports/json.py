"""hicm's own form, which loses nothing: times in seconds, scores, levels, and how the events were made."""

import json
import math
from pathlib import Path
from typing import Any

from hicm.errors import UserError, brief, reason
from hicm.exports import Captioned, Picture
from hicm.files import read_json
from hicm.types import Event, Span

SUFFIX = ".json"


def render(captioned: Captioned) -> str:
    """One object; numbers are not rounded."""
    events = [{"start": event.span.start, "end": event.span.end, "sentence": event.text}
              | ({} if event.score is None else {"score": event.score})
              | ({} if event.level is None else {"level": event.level}) for event in captioned.events]
    picture = {"frame_rate": captioned.picture.frame_rate, "size": captioned.picture.size,
               "sound": captioned.picture.sound}
    return json.dumps({"video": captioned.id, "source": captioned.source, "duration": captioned.duration,
                       "picture": picture, "events": events, "made_by": captioned.about}, indent=1,
                      ensure_ascii=False) + "\n"


def read(path: Path) -> Captioned:
    """What `render` wrote.  Raises UserError for anything else."""
    content = read_json(path, "captions")
    try:
        return _captioned(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{path}: expected captions as hicm caption writes them ({type(error).__name__}: "
                        f"{reason(error)}); correct the file, or caption the video again") from error


def _captioned(content: Any) -> Captioned:
    events = [Event(_span(one), str(one["sentence"]), _number(one.get("score")), _number(one.get("level"), int))
              for one in content["events"]]
    picture = content.get("picture", {})
    width, height = (_number(pixels, int) for pixels in picture.get("size") or (None, None))
    return Captioned(str(content["video"]), str(content["source"]), _seconds(content["duration"]), tuple(events),
                     content.get("made_by", {}),
                     Picture(_number(picture.get("frame_rate")), (width, height) if width and height else None,
                             bool(picture.get("sound"))))


def _span(event: Any) -> Span:
    start, end = _seconds(event["start"]), _seconds(event["end"])
    if end < start:
        raise ValueError(f"an event from {start:g} to {end:g} seconds")
    return Span(start, end)


def _seconds(value: Any) -> float:
    found = float(value)
    if not 0 <= found < math.inf:
        raise ValueError(f"{found} seconds")
    return found


def _number(value: Any, kind: type[float] | type[int] = float) -> Any:
    """``value`` if it is a finite number of that kind, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, kind)) or not math.isfinite(value):
        raise ValueError(f"{brief(value)} in place of a number")
    return value
