"""YouTube's own captions, ``json3``: events in milliseconds, automatic ones rolling through two lines."""

from typing import Any

from hicm.data.speech.cues import Cue, untangle
from hicm.data.speech.segments import Speech, is_time
from hicm.errors import UserError, brief

FORM = "{events: [{tStartMs, dDurationMs, segs}, ...]}"


def matches(entry: Any) -> bool:
    """Whether there are events."""
    return isinstance(entry, dict) and "events" in entry


def read(entry: Any, where: str) -> Speech:
    """The events that have a text."""
    cues, events = [], entry["events"]
    if not isinstance(events, list):
        raise UserError(f"{where}: events: expected a list")
    for i, event in enumerate(events):
        pieces = event.get("segs", []) if isinstance(event, dict) else None
        if not isinstance(pieces, list) or not all(isinstance(piece, dict) for piece in pieces):
            raise UserError(f"{where}: events[{i}]: expected {{tStartMs, dDurationMs, segs: [{{utf8}}, ...]}}")
        text = "".join(str(piece.get("utf8", "")) for piece in pieces)
        if text.strip():
            start, lasts = event.get("tStartMs"), event.get("dDurationMs")
            if not is_time(start) or not is_time(lasts):
                raise UserError(f"{where}: events[{i}]: expected tStartMs and dDurationMs in milliseconds, found "
                                f"{brief(start)} and {brief(lasts)}")
            cues.append(Cue(start / 1000, (start + lasts) / 1000, text))
    return untangle(cues)
