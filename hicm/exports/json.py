"""hicm's own form, which loses nothing: times in seconds, scores, levels, and how the events were made."""

import json
from pathlib import Path
from typing import Any

from hicm.errors import UserError
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: expected captions as hicm caption writes them ({error!r}); caption the video "
                        "again") from error


def _captioned(content: Any) -> Captioned:
    events = [Event(Span(float(one["start"]), float(one["end"])), str(one["sentence"]), one.get("score"),
                    one.get("level")) for one in content["events"]]
    picture = content.get("picture", {})
    size = picture.get("size")
    return Captioned(content["video"], content["source"], float(content["duration"]), tuple(events),
                     content.get("made_by", {}),
                     Picture(picture.get("frame_rate"), tuple(size) if size else None, picture.get("sound", False)))
