"""hicm's own format, which loses nothing: times in seconds, scores, levels, speech, what was recalled, and how the
events were made.
"""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from hicm.errors import UserError, brief
from hicm.exports import Captioned, Picture
from hicm.files import parse_json, read_text
from hicm.types import Event, RecalledNode, RecalledPart, Span

SUFFIX = ".json"

BAD = (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)  # of other content
Found = TypeVar("Found")


def render(captioned: Captioned) -> str:
    """One object; numbers are not rounded, and what is not known is left out."""
    events = [{"start": event.span.start, "end": event.span.end, "sentence": event.text}
              | ({} if event.score is None else {"score": event.score})
              | ({} if event.level is None else {"level": event.level}) for event in captioned.events]
    picture = {"frame_rate": captioned.picture.frame_rate, "size": captioned.picture.size,
               "sound": captioned.picture.sound}
    content = {"video": captioned.id, "source": captioned.source, "duration": captioned.duration,
               "picture": picture, "events": events, "made_by": captioned.about}
    if captioned.speech:
        content["speech"] = [{"start": said.span.start, "end": said.span.end, "text": said.text}
                             for said in captioned.speech]
    if captioned.recalled:
        content["recalled"] = [{"start": part.span.start, "end": part.span.end, "nodes": [*map(_node, part.nodes)]}
                               for part in captioned.recalled]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _node(node: RecalledNode) -> dict[str, Any]:
    found: dict[str, Any] = {"level": node.level, "text": node.text}
    found |= {} if node.lowest < 0 else {"lowest": node.lowest}
    found |= {} if node.score is None else {"score": node.score}
    found |= {name: getattr(node, name) for name in ("replaced", "source", "more") if getattr(node, name)}
    return found | ({"below": [*map(_node, node.below)]} if node.below else {})


def read(path: Path) -> Captioned:
    """Captions that `render` wrote, also after edits; events in order of time.  Raises UserError for anything else."""
    return parse(read_text(path, "captions"), path)


def parse(text: str, path: Path) -> Captioned:
    """`read`, for the text of the file ``path``."""
    content = parse_json(text, path, "captions")
    try:
        return _captioned(content)
    except BAD as error:
        raise UserError(f"{path}: expected captions as hicm caption writes them ({error!r}); correct it, or caption "
                        "the video again") from error


def _captioned(content: Any) -> Captioned:
    video, duration, about = _text(content["video"]), _number(content["duration"]), content.get("made_by", {})
    if not video or Path(video).name != video or "\0" in video:  # names the files that are written
        raise ValueError(f"video {brief(video)}, expected the name of a video file without its ending")
    if duration is None or not isinstance(about, dict):
        raise ValueError("duration is not known, or made_by is not an object")
    events = _each("event", _event, content["events"])
    return Captioned(video, _text(content["source"]), duration, in_order(events), about,
                     _picture(content.get("picture", {})), tuple(_each("speech", _segment, content.get("speech", []))),
                     tuple(_each("recalled", _part, content.get("recalled", []))))


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events by their start, then by their end."""
    return tuple(sorted(events, key=lambda event: (event.span.start, event.span.end)))


def lists_of(content: Any) -> tuple[list[Event], list[Event] | None]:
    """The lists ``events`` and, if there is one, ``speech`` of parsed json, as `render` writes them, in their order.

    Raises ValueError that says what is wrong, for users; other fields are not read.
    """
    if not isinstance(content, dict) or "events" not in content:
        raise ValueError("expected an object with the list 'events'")
    speech = content.get("speech")
    return (_list("events", "event", _event, content["events"]),
            None if speech is None else _list("speech", "speech", _segment, speech))


def _list(name: str, what: str, read_one: Callable[[Any], Found], items: Any) -> list[Found]:
    if not isinstance(items, list):
        raise ValueError(f"{name}: {brief(items)}, expected a list")
    found = []
    for number, one in enumerate(items, start=1):
        if not isinstance(one, dict):
            raise ValueError(f"{what} {number}: {brief(one)}, expected an object")
        try:
            found.append(read_one(one))
        except KeyError as error:
            raise ValueError(f"{what} {number}: has no {error}") from error
        except BAD as error:
            raise ValueError(f"{what} {number}: {error}") from error
    return found


def _each(what: str, read_one: Callable[[Any], Found], items: Any) -> list[Found]:
    found = []
    for number, one in enumerate(items, start=1):
        try:
            found.append(read_one(one))
        except BAD as error:
            raise ValueError(f"{what} {number}: {error!r}") from error
    return found


def _event(one: Any) -> Event:
    return Event(_span(one), _text(one["sentence"]), _number(one.get("score")), _whole(one.get("level")))


def _segment(one: Any) -> Event:
    return Event(_span(one), _text(one["text"]))


def _part(one: Any) -> RecalledPart:
    return RecalledPart(_span(one), tuple(map(_read_node, one["nodes"])))


def _picture(one: Any) -> Picture:
    size = one.get("size")
    return Picture(_number(one.get("frame_rate")), None if size is None else (int(size[0]), int(size[1])),
                   bool(one.get("sound", False)))


def _read_node(one: Any) -> RecalledNode:
    level, text, score = _whole(one["level"]), _text(one["text"]), _number(one.get("score"))
    if level is None:
        raise ValueError("a node without level")
    return RecalledNode(level, text, score, _text(one.get("replaced", "")), _text(one.get("source", "")),
                        tuple(map(_read_node, one.get("below", []))), int(one.get("more", 0)),
                        int(one.get("lowest", -1)))


def _span(one: Any) -> Span:
    start, end = _number(one["start"]), _number(one["end"])
    if start is None or end is None or not 0 <= start <= end:
        raise ValueError(f"times {start} to {end}, expected 0 <= start <= end")
    return Span(start, end)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{brief(value)}, expected a number")
    return float(value)


def _whole(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{brief(value)}, expected a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{brief(value)}, expected text")
    return value
