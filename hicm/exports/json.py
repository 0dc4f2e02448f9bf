"""hicm's own format, which loses nothing: times in seconds, scores, levels, speech, what was recalled, and how the
events were made.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hicm.errors import UserError, brief, reason
from hicm.exports import Captioned, Picture
from hicm.files import parse_json, read_text
from hicm.types import Event, RecalledNode, RecalledPart, Span

SUFFIX = ".json"

KEYS = ("video", "source", "duration", "events")  # of every file
LONGEST_KEY = 30  # characters of a key of another program that an error shows
LARGEST_WHOLE = 2 ** 53 - 1  # of levels: JavaScript rounds larger numbers, and some formats cannot hold them
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
    if not isinstance(content, dict) or not content.keys() >= set(KEYS):
        raise UserError(f"{path}: expected captions as hicm caption writes them, with the keys {_listed(KEYS[:-1])} "
                        f"and {KEYS[-1]!r}, found {_kind(content)}; give a .json that hicm caption or its viewer wrote")
    try:
        return _captioned(content)
    except (ValueError, RecursionError) as error:  # the latter: nested too deeply
        raise UserError(f"{path}: expected captions as hicm caption writes them ({reason(error)}); correct it, or "
                        "caption the video again") from error


def _kind(content: Any) -> str:
    """What a file of another program holds."""
    if isinstance(content, dict):
        keys = [one if len(one) <= LONGEST_KEY else f"{one[:LONGEST_KEY]}..." for one in content]
        return f"the keys {_listed(keys[:5])}{', ...' * (len(keys) > 5)}" if keys else "an empty object"
    kinds = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(content), "nothing")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _captioned(content: dict[str, Any]) -> Captioned:
    video, duration = _text(content["video"]), _number(content["duration"])
    if not video or Path(video).name != video or "\0" in video:  # names the files that are written
        raise ValueError(f"video {brief(video)}, expected the name of a video file without its ending")
    if duration is None:
        raise ValueError("duration is not known")
    about = _within("made_by", _object, content.get("made_by", {}))
    events = _each("events", "event", _event, content["events"])
    return Captioned(video, _text(content["source"]), duration, in_order(events), about,
                     _within("picture", _picture, content.get("picture", {})),
                     tuple(_each("speech", "speech", _segment, content.get("speech", []))),
                     tuple(_each("recalled", "recalled", _part, content.get("recalled", []))))


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
    return (_each("events", "event", _event, content["events"]),
            None if speech is None else _each("speech", "speech", _segment, speech))


def _each(field: str, what: str, read_one: Callable[[Any], Found], items: Any) -> list[Found]:
    return [_within(f"{what} {number}", read_one, one)
            for number, one in enumerate(_within(field, _list, items), start=1)]


def _within(where: str, read_one: Callable[[Any], Found], value: Any) -> Found:
    """``read_one(value)``; a ValueError says ``where``."""
    try:
        return read_one(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _event(one: Any) -> Event:
    return Event(_span(one), _text(_of(one, "sentence")), _number(one.get("score")), _whole(one.get("level")))


def _segment(one: Any) -> Event:
    return Event(_span(one), _text(_of(one, "text")))


def _part(one: Any) -> RecalledPart:
    return RecalledPart(_span(one), tuple(map(_read_node, _list(_of(one, "nodes")))))


def _picture(one: Any) -> Picture:
    size, rate, sound = (_object(one).get(name) for name in ("size", "frame_rate", "sound"))
    if size is None:
        return Picture(_number(rate), None, bool(sound))
    if not isinstance(size, list) or len(size) != 2:
        raise ValueError(f"size {brief(size)}, expected width and height")
    width, height = (_number(length) for length in size)
    if width is None or height is None:
        raise ValueError(f"size {brief(size)}, expected width and height")
    return Picture(_number(rate), (int(width), int(height)), bool(sound))


def _read_node(one: Any) -> RecalledNode:
    level, text, score = _whole(_of(one, "level")), _text(_of(one, "text")), _number(one.get("score"))
    if level is None:
        raise ValueError("a node without level")
    below = tuple(map(_read_node, _list(one.get("below", []))))
    more, lowest = _whole(one.get("more")), _whole(one.get("lowest"))
    return RecalledNode(level, text, score, _text(one.get("replaced", "")), _text(one.get("source", "")), below,
                        more or 0, -1 if lowest is None else lowest)


def _of(one: Any, key: str) -> Any:
    """The value of a key that an object must have."""
    if key not in _object(one):
        raise ValueError(f"no key {key!r}")
    return one[key]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{brief(value)}, expected an object")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{brief(value)}, expected a list")
    return value


def _span(one: Any) -> Span:
    start, end = _number(_of(one, "start")), _number(_of(one, "end"))
    if start is None or end is None or not 0 <= start <= end:
        raise ValueError(f"times {start} to {end}, expected 0 <= start <= end")
    return Span(start, end)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond the range of floats
        pass
    raise ValueError(f"{brief(value)}, expected a number")


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_WHOLE:
        raise ValueError(f"{brief(value)}, expected a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{brief(value)}, expected text")
    return value
